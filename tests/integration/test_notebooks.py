"""The notebooks of the documentation run from top to bottom, in a fresh kernel each."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = ("city_in_ten_lines", "own_mechanism", "read_a_run")


def test_no_notebook_is_left_out(project_root: Path) -> None:
    assert sorted(path.stem for path in (project_root / "docs" / "notebooks").glob("*.ipynb")) == sorted(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs(name: str, project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(project_root / "docs" / "notebooks" / f"{name}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not kept: they would age"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(project_root), os.environ.get("PYTHONPATH", "")]))
    done = NotebookClient(notebook, timeout=280, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for cell in done.cells:
        errors = [output for output in cell.get("outputs", ()) if output.output_type == "error"]
        assert not errors
    assert any(cell.get("outputs") for cell in done.cells)
