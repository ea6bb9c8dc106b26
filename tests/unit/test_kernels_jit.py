from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from sim.kernels import _jit


def test_cache_lies_where_numba_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    folder = _jit._cache_folder()
    assert folder.parent == tmp_path and folder.is_dir()
    # The same sources, the same folder: a second start finds what the first compiled.
    assert _jit._cache_folder() == folder


def test_cache_moves_where_its_place_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = _jit._cache_folder()
    assert folder.parent.parent == tmp_path
    assert folder.name.startswith("sim-")
