"""What the visitor reads beside and below the maps: the Price of Anarchy, key figures, charts, where the data come from."""

from __future__ import annotations

import reacton.ipyvuetify as rv
from solara.core import component

from dashboard import figures
from dashboard.charts import Charts
from dashboard.scene import Scene


@component
def Side(scene: Scene, charts: Charts) -> None:
    """Show the column beside the maps."""
    with rv.Html(tag="aside", class_="rp-side"):
        _price(scene)
        rv.Html(tag="div", class_="rp-charts", children=[charts.ratio, charts.gap])
        with rv.Html(tag="dl", class_="rp-figures"):
            for figure in figures.key_figures(scene):
                with rv.Html(tag="div", class_="rp-figure"):
                    rv.Html(tag="dt", children=[figure.label])
                    with rv.Html(tag="dd"):
                        rv.Html(tag="span", class_="rp-value", children=[figure.value])
                        rv.Html(tag="span", class_="rp-remark", children=[figure.remark])


def _price(scene: Scene) -> None:
    certified, remark = figures.certified_text(scene)
    with rv.Html(tag="section", class_="rp-price"):
        rv.Html(tag="h2", children=["Price of Anarchy"])
        with rv.Html(tag="div", class_="rp-price-row"):
            with rv.Html(tag="div", class_="rp-price-live"):
                rv.Html(tag="div", class_="rp-poa", children=[figures.live_ratio_text(scene)], attributes={"aria-live": "polite"})
                rv.Html(tag="div", class_="rp-remark", children=["today: travellers / optimum"])
            with rv.Html(tag="div", class_="rp-price-certified"):
                rv.Html(tag="div", class_="rp-certified", children=[certified])
                rv.Html(tag="div", class_="rp-remark", children=["at equilibrium" + (f": {remark}" if remark else "")])


@component
def Foot(scene: Scene) -> None:
    """Show attribution, assumptions and warnings."""
    built = None if scene.city is None else scene.city.built
    lines = [] if built is None else [built.spec.description, *built.notes, *built.warnings]
    if scene.city is not None and scene.city.streets.schematic:
        lines.append("The network states no coordinates: the map shows how its links connect, not where they are.")
    rv.Html(tag="footer", class_="rp-foot", children=[" ".join(line for line in lines if line)])
