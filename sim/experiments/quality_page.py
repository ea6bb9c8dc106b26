"""The quality report of a network as one self-contained HTML page with a map of its doubts.

`routepact validate --out` writes it; a run on an imported network has it beside its report.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa

import sim
from sim.errors import InputError
from sim.experiments import report_maps
from sim.experiments.record_tables import link_table
from sim.network.quality import QualityReport
from sim.network.road_network import RoadNetwork

QUALITY = "quality.html"
"""The page in a run folder."""
_TEMPLATE = "quality.html.jinja"


def write_quality_page(network: RoadNetwork, quality: QualityReport, path: Path, *, notes: tuple[str, ...] = ()) -> Path:
    """Write the page; it appears under its name only when it is whole.

    Raises
    ------
    InputError
        It cannot be written there.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(quality_html(network, quality, notes=notes), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", source=path) from None
    finally:
        partial.unlink(missing_ok=True)
    return path


def quality_html(network: RoadNetwork, quality: QualityReport, *, notes: tuple[str, ...] = ()) -> str:
    """Return the page; the same network gives the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sim.experiments", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE).render(
        name=network.name,
        nodes=network.n_nodes,
        quality=quality,
        content=quality.content(network),
        map=_map(network, quality),
        warnings=network.cleaning.warnings,
        notes=notes,
        version=sim.__version__,
    )


def _map(network: RoadNetwork, quality: QualityReport) -> dict[str, Any] | None:
    """Return the map of the doubts; None without doubts, or where the network cannot be drawn."""
    if not quality.doubts:
        return None
    table: pa.Table = link_table(network, {})
    columns = {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}
    shapes = report_maps.link_shapes(columns, (table.schema.metadata or {}).get(b"geo"))
    if shapes is None:
        return None
    doubts = quality.doubts_of_links(network.n_links)[shapes.link_idx]
    drawn = report_maps.doubt_map(shapes, doubts)
    return {
        "title": "Links with doubts",
        "uri": {
            theme: "data:image/png;base64," + base64.b64encode(drawn.png[theme]).decode("ascii") for theme in report_maps.THEMES
        },
        "ramp": drawn.ramp,
        "width_px": drawn.width_px,
        "height_px": drawn.height_px,
        "scale_bar": drawn.scale_bar,
        "low": "one doubt",
        "middle": "",
        "high": f"{int(max(doubts.max(), 2))} doubts",
        "caption": f"{int((doubts > 0).sum()):,} of {len(doubts):,} streets; the others are grey."
        + (" Outlying streets lie outside the frame." if drawn.cropped else ""),
    }
