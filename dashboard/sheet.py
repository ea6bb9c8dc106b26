"""Tables and lists as one widget each; Solara's own need a widget a cell, which takes seconds for a ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import traitlets

from dashboard.city_map import script
from dashboard.figures import Row


class Sheet(anywidget.AnyWidget):
    """Rows of cells; see `static/sheet.js`.

    Attributes
    ----------
    head, rows
        Titles of the columns, and the cells.
    look
        Classes of the style.
    opened
        Set by the browser: [number of the cell that was clicked, when].
    """

    _esm = script("palette.js", "sheet.js")

    head: Any = traitlets.List().tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    look = traitlets.Unicode("").tag(sync=True)
    opened: Any = traitlets.List().tag(sync=True)


def sheet(
    rows: Sequence[Sequence[Any]], *, look: str, head: Sequence[str] = (), on_open: Callable[[int], None] | None = None
) -> None:
    """Show rows of cells; `on_open` is called with the number of a cell that can be opened."""

    def opened(value: list[int]) -> None:
        if on_open is not None and value:
            on_open(int(value[0]))

    Sheet.element(head=list(head), rows=[list(row) for row in rows], look=look, on_opened=opened)


def cell(text: str, kind: str = "", *, title: str = "", opens: int | None = None, span: int = 1) -> dict[str, Any]:
    """Return a cell with more than a text."""
    return {"text": text, "kind": kind, "title": title, "open": opens, "span": span}


def rows_table(rows: Sequence[Row], head: Sequence[str] = (), look: str = "") -> None:
    """Show lines of figures, each with its meaning as a tooltip."""
    if not rows:
        return
    lines = [
        [
            cell(row.label, "rp-label", title=row.hint),
            *(cell(value, "rp-value", span=3 - len(row.values)) for value in row.values),
        ]
        for row in rows
    ]
    sheet(lines, look=f"rp-rows {look}", head=["", *head] if head else [])
