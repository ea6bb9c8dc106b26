"""The tutorials' blocks: files are written, Python is run in order, and what it prints is what the page says."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any

import pytest

BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    "page, prints, policies",
    [("tutorial-own-strategy.md", 4, 1), ("tutorial-contracts.md", 5, 0)],
)
def test_the_tutorial_does_what_it_says(
    page: str, prints: int, policies: int, project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = BLOCK.findall((project_root / "docs" / page).read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    # What the tutorial imports from its own folder goes away with it.
    monkeypatch.setitem(sys.modules, "choosy", None)
    names: dict[str, Any] = {}
    printed, compared = "", 0
    lines_of_policies: list[int] = []
    for kind, content in blocks:
        language, _, file = kind.partition(" file=")
        if file:
            (tmp_path / file).write_text(content, encoding="utf-8")
            if language == "python":
                lines_of_policies.append(len([line for line in content.splitlines() if line.strip()]))
        elif language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(content, f"<tutorial block {compared + 1}>", "exec"), names)
            printed = output.getvalue()
        elif language == "text":
            assert printed == content
            compared += 1
    assert compared == prints
    # Twenty lines are enough for a policy of one's own.
    assert len(lines_of_policies) == policies and all(lines <= 20 for lines in lines_of_policies)
