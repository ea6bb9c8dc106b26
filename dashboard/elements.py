"""Solara's components that carry no types, under types, so that the pages can be checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from solara.components.button import Button as _Button
from solara.components.style import Style as _Style
from solara.components.title import Title as _Title
from solara.lab.components.theming import ThemeToggle as _ThemeToggle
from solara.lab.components.theming import theme as _theme

Button: Callable[..., Any] = _Button
Style: Callable[..., Any] = _Style
ThemeToggle: Callable[..., Any] = _ThemeToggle
Title: Callable[..., Any] = _Title


def follow_system_theme() -> None:
    """Let the visitor's system choose light or dark until the visitor does; Solara's own setting for that breaks its page."""
    _theme.dark = None
