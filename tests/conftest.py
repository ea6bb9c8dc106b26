"""Fixtures that every test folder shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def project_root() -> Path:
    """Folder of the checkout."""
    return PROJECT_ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the benchmark networks that are no part of the project; the test skips where it is missing.

    `ROUTEPACT_SHARED_DATA` names it; without that, a folder `shared/data` beside the checkout is taken.
    """
    folder = Path(os.environ.get("ROUTEPACT_SHARED_DATA", PROJECT_ROOT.parent / "shared" / "data"))
    if not (folder / "tntp").is_dir():
        pytest.skip(f"benchmark networks not found in {folder}; set ROUTEPACT_SHARED_DATA to a folder that has tntp/ and osm/")
    return folder
