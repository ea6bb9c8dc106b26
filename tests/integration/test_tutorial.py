"""The tutorial's blocks: files are written, Python is run in order, and what it prints is what the page says."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any

import pytest

BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_tutorial_does_what_it_says(project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = BLOCK.findall((project_root / "docs" / "tutorial-own-strategy.md").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    # What the tutorial imports from its own folder goes away with it.
    monkeypatch.setitem(sys.modules, "choosy", None)
    names: dict[str, Any] = {}
    printed, compared, lines_of_policy = "", 0, 0
    for kind, content in blocks:
        language, _, file = kind.partition(" file=")
        if file:
            (tmp_path / file).write_text(content, encoding="utf-8")
            if language == "python":
                lines_of_policy = len([line for line in content.splitlines() if line.strip()])
        elif language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(content, f"<tutorial block {compared + 1}>", "exec"), names)
            printed = output.getvalue()
        elif language == "text":
            assert printed == content
            compared += 1
    assert compared == 3
    assert lines_of_policy <= 20
