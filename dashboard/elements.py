"""Solara's components that carry no types, under types, so that the pages can be checked; and the page's own small ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import reacton.ipyvuetify as rv
from solara.components.button import Button as _Button
from solara.components.input import InputText as _InputText
from solara.components.select import Select as _Select
from solara.components.slider import SliderFloat as _SliderFloat
from solara.components.slider import SliderInt as _SliderInt
from solara.components.slider import SliderValue as _SliderValue
from solara.components.style import Style as _Style
from solara.components.title import Title as _Title
from solara.lab.components.theming import ThemeToggle as _ThemeToggle
from solara.lab.components.theming import theme as _theme

Button: Callable[..., Any] = _Button
InputText: Callable[..., Any] = _InputText
Select: Callable[..., Any] = _Select
SliderFloat: Callable[..., Any] = _SliderFloat
SliderInt: Callable[..., Any] = _SliderInt
SliderValue: Callable[..., Any] = _SliderValue
Style: Callable[..., Any] = _Style
ThemeToggle: Callable[..., Any] = _ThemeToggle
Title: Callable[..., Any] = _Title


def follow_system_theme() -> None:
    """Let the visitor's system choose light or dark until the visitor does; Solara's own setting for that breaks its page."""
    _theme.dark = None


def words(tag: str, class_: str, *children: Any, **attributes: str) -> Any:
    """Show words in a tag of a class."""
    return rv.Html(tag=tag, class_=class_, children=list(children), attributes=attributes)


def text_button(label: str, act: Callable[[], None], *classes: str, hint: str = "", chosen: bool = False) -> None:
    """Show a plain button; a chosen one of a group says so."""
    Button(
        label,
        on_click=act,
        text=True,
        small=True,
        classes=["rp-flat", *classes, *(["rp-chosen"] if chosen else [])],
        attributes={"title": hint, "aria-pressed": "true" if chosen else "false"},
    )


def choice_group(label: str, options: Sequence[tuple[str, str, str]], chosen: str, choose: Callable[[Any], None]) -> None:
    """Show a group of buttons of which one is chosen; options are (value, words, hint), and each has the class rp-is-<value>."""
    with rv.Html(tag="div", class_="rp-group", attributes={"role": "group", "aria-label": label}):
        for value, shown, hint in options:
            text_button(shown, partial(choose, value), f"rp-is-{value}", hint=hint, chosen=value == chosen)
