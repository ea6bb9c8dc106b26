"""The first tab: the Price of Anarchy, what both worlds cost, and what the market has come to."""

from __future__ import annotations

import reacton.ipyvuetify as rv
from solara.core import component

from dashboard import figures
from dashboard.charts import Charts
from dashboard.elements import words
from dashboard.scene import Moment, Scene
from dashboard.sheet import rows_table


@component
def Overview(scene: Scene, charts: Charts, moment: Moment | None) -> None:
    """Show the column's first tab."""
    with rv.Html(tag="div", class_="rp-tab rp-overview"):
        _price(scene)
        rv.Html(tag="div", class_="rp-charts", children=[charts.price, charts.second])
        if scene.left is not None and scene.right is not None:
            head = (scene.left.title, scene.right.title)
            rows_table([*figures.moment_rows(scene, moment), *figures.world_rows(scene)], head, "rp-worlds")
        rows_table(figures.market_rows(scene))


def _price(scene: Scene) -> None:
    certified, remark = figures.certified_text(scene)
    with rv.Html(tag="section", class_="rp-price"):
        hint = "Mean travel time divided by that of the optimum. 1 means that nothing is lost."
        words("h2", "", "Price of Anarchy", title=hint)
        with rv.Html(tag="div", class_="rp-price-row"):
            for side, world in (("left", scene.left), ("right", scene.right)):
                with rv.Html(tag="div", class_=f"rp-price-{side}"):
                    rv.Html(
                        tag="div",
                        class_="rp-poa",
                        children=[figures.ratio_text(scene, world)],
                        attributes={"aria-live": "polite"},
                    )
                    words("div", "rp-remark", "" if world is None else world.title.lower())
            with rv.Html(tag="div", class_="rp-price-closed"):
                words("div", "rp-closed", figures.closed_text(scene))
                words(
                    "div",
                    "rp-remark",
                    "of the gap closed",
                    title="What the right world saves, of all that the optimum would save",
                )
        with rv.Html(tag="div", class_="rp-remark rp-certified-line"):
            words("span", "", "at equilibrium ")
            words("strong", "rp-certified", certified)
            words(
                "span", "", f" ({remark})" if remark else "", title="The optimum's side is proven; the equilibrium's is a margin"
            )
        interval = figures.ratio_interval_text(scene, scene.right)
        if interval and scene.right is not None:
            words("div", "rp-remark rp-interval", f"{scene.right.title.lower()}, against the proven bound: {interval}")
