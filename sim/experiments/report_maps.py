"""Maps of the report: links coloured by load, and by the difference between two worlds, as PNG on a plate of each theme's own.

On the light plate dark means much, on the dark plate bright means much: what stands out from the ground is what matters. Legend
and scale bar belong to the page, so that their letters keep their size.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import matplotlib as mpl
import networkx as nx
import numpy as np
import pyproj
import shapely
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from sim.arrays import BoolColumn, FloatColumn, OffsetColumn
from sim.experiments.record_tables import GEOMETRY_COLUMN
from sim.network.road_network import CONNECTOR_CLASS
from sim.units import METRES_PER_DEGREE

Theme: TypeAlias = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
LARGEST_SCHEMATIC = 200
"""Links up to which a network without coordinates is laid out, and any network is drawn with arrows and nodes."""
LOAD_LIMIT = 1.25
"""Volume over capacity at which the colours end."""
_WIDTH_PX = 1100
_DPI = 100
_POINTS_PER_PX = 72 / _DPI
_PLATE = {"light": "#f3f3ef", "dark": "#0d1117"}
_PALETTE_COLOURS = 192
_FAINT = {"light": "#cfd1cf", "dark": "#2f3946"}
_NODE = {"light": "#3a4350", "dark": "#c6ced8"}


@dataclass(frozen=True, eq=False)
class LinkShapes:
    """Lines ready to be drawn, in plane coordinates of equal scale both ways.

    Attributes
    ----------
    link_idx
        Rows of link_performance that the lines belong to, shape (n_lines,).
    start, xy
        Points of line k: `xy[start[k]:start[k + 1]]`.
    node_xy
        Coordinates of the nodes by their id, on small networks only.
    metres_per_unit
        None where the unit of the coordinates is unknown.
    schematic
        True where the layout was made up because the network has no coordinates.
    """

    link_idx: NDArray[np.int64]
    start: OffsetColumn
    xy: FloatColumn
    node_xy: dict[Any, tuple[float, float]]
    metres_per_unit: float | None
    schematic: bool


@dataclass(frozen=True)
class ScaleBar:
    """A bar of a round length; `share` is its part of the map's width."""

    label: str
    share: float


@dataclass(frozen=True)
class Picture:
    """One map in both themes, PNG bytes each, and the colours of its legend from low to high."""

    png: Mapping[Theme, bytes]
    ramp: Mapping[Theme, str]
    width_px: int
    height_px: int
    scale_bar: ScaleBar | None
    cropped: bool
    """True where outlying streets lie outside the frame."""


def link_shapes(links: Mapping[str, Any], geo_metadata: bytes | None) -> LinkShapes | None:
    """Return the lines of all streets (not of connectors), or None where a network without coordinates is too large."""
    drawn = np.flatnonzero(links["link_class"] != CONNECTOR_CLASS)
    if GEOMETRY_COLUMN not in links:
        return _laid_out(links, drawn) if 0 < len(drawn) <= LARGEST_SCHEMATIC else None
    wkb = links[GEOMETRY_COLUMN]
    drawn = drawn[[wkb[link_idx] is not None for link_idx in drawn]]
    if len(drawn) == 0:
        return None
    xy, line = shapely.get_coordinates(shapely.from_wkb(wkb[drawn]), return_index=True)
    start = np.searchsorted(line, np.arange(len(drawn) + 1)).astype(np.int64)
    xy, metres_per_unit = _plane(xy, geo_metadata)
    if len(drawn) > LARGEST_SCHEMATIC:
        return LinkShapes(drawn, start, xy, {}, metres_per_unit, schematic=False)
    node_xy: dict[Any, tuple[float, float]] = {}
    for ends, point in (("from_node_id", xy[start[:-1]]), ("to_node_id", xy[start[1:] - 1])):
        node_xy |= {node: (float(x), float(y)) for node, (x, y) in zip(links[ends][drawn], point, strict=True)}
    start, xy = _bowed(links, drawn, start, xy)
    return LinkShapes(drawn, start, xy, node_xy, metres_per_unit, schematic=False)


def load_map(shapes: LinkShapes, links: Mapping[str, Any], world: str) -> Picture:
    """Draw the streets coloured by volume over capacity and as wide as their flow."""
    load = links[f"{world}_volume_to_capacity"][shapes.link_idx]
    flow = links[f"{world}_flow_vph"][shapes.link_idx]
    emphasis = np.sqrt(flow / flow.max()) if flow.max() > 0 else np.zeros(len(flow))
    # The end of viridis that would sink into the ground is cut off.
    viridis = mpl.colormaps["viridis"]
    ramps: dict[Theme, Colormap] = {
        "light": LinearSegmentedColormap.from_list("load", viridis(np.linspace(0.94, 0.0, 64))),
        "dark": LinearSegmentedColormap.from_list("load", viridis(np.linspace(0.2, 1.0, 64))),
    }
    return _picture(shapes, load, emphasis, flow > 0, Normalize(0.0, LOAD_LIMIT), ramps)


def difference_map(shapes: LinkShapes, links: Mapping[str, Any], first: str, second: str) -> tuple[Picture, float]:
    """Draw flow of `first` minus flow of `second`; return the map and the flow (veh/h) at which the colours end."""
    change = (links[f"{first}_flow_vph"] - links[f"{second}_flow_vph"])[shapes.link_idx]
    size = np.abs(change)
    limit_vph = round_number(float(np.quantile(size[size > 0], 0.98))) if (size > 0).any() else 1.0
    emphasis = np.minimum(1.0, size / limit_vph) ** 0.6
    ramps: dict[Theme, Colormap] = {
        "light": LinearSegmentedColormap.from_list("purple-green", ["#1b7837", "#7fbf7b", "#cfcfcb", "#af8dc3", "#6a2a86"]),
        "dark": LinearSegmentedColormap.from_list("purple-green", ["#a6f0a0", "#4ba551", "#2a323c", "#9b62b5", "#e3b7f5"]),
    }
    return _picture(shapes, change, emphasis, size > 0.01 * limit_vph, Normalize(-limit_vph, limit_vph), ramps), limit_vph


def delay_map(shapes: LinkShapes, delay_h: FloatColumn, limit_h: float) -> Picture:
    """Draw the streets coloured and as wide as the time that is lost on them, vehicle-hours; the colours end at `limit_h`."""
    delay = delay_h[shapes.link_idx]
    ramps: dict[Theme, Colormap] = {
        "light": LinearSegmentedColormap.from_list("delay", ["#f3c9a0", "#e08214", "#8c2d04", "#4a0d02"]),
        "dark": LinearSegmentedColormap.from_list("delay", ["#6b4a2a", "#e08214", "#ffc98a", "#fff3e4"]),
    }
    emphasis = np.minimum(1.0, delay / limit_h) ** 0.6
    return _picture(shapes, delay, emphasis, delay > 0.01 * limit_h, Normalize(0.0, limit_h), ramps)


def doubt_map(shapes: LinkShapes, doubts: FloatColumn) -> Picture:
    """Draw the streets with doubts, coloured by their number (shape as `shapes.link_idx`); the others are grey."""
    most = max(2.0, float(doubts.max(initial=0.0)))
    ramps: dict[Theme, Colormap] = {
        "light": LinearSegmentedColormap.from_list("doubts", ["#e08214", "#8c2d04"]),
        "dark": LinearSegmentedColormap.from_list("doubts", ["#f4a460", "#ffe9d2"]),
    }
    return _picture(shapes, doubts, np.minimum(1.0, 0.4 + 0.2 * doubts), doubts > 0, Normalize(1.0, most), ramps)


def round_number(number: float) -> float:
    """Return the largest of 1, 2, 5 x 10^k that does not exceed `number` (above 0)."""
    base = 10.0 ** math.floor(math.log10(number))
    return float(max(step * base for step in (1.0, 2.0, 5.0) if step * base <= number * (1 + 1e-12)))


def _plane(xy: FloatColumn, geo_metadata: bytes | None) -> tuple[FloatColumn, float | None]:
    """Return coordinates of equal scale both ways, and metres in their unit; longitudes shrink with the middle latitude."""
    columns = json.loads(geo_metadata)["columns"] if geo_metadata else {GEOMETRY_COLUMN: {"crs": None}}
    described = columns[GEOMETRY_COLUMN]["crs"]
    if described is None:
        return xy, None
    crs = pyproj.CRS.from_json_dict(described)
    if not crs.is_geographic:
        return xy, float(crs.axis_info[0].unit_conversion_factor)
    middle = math.radians(float(xy[:, 1].min() + xy[:, 1].max()) / 2)
    return xy * np.array([math.cos(middle), 1.0]), METRES_PER_DEGREE


def _laid_out(links: Mapping[str, Any], drawn: NDArray[np.int64]) -> LinkShapes:
    """Place the nodes so that distances resemble numbers of links (Kamada and Kawai 1989, Inf. Process. Lett. 31)."""
    tails, heads = links["from_node_id"][drawn].tolist(), links["to_node_id"][drawn].tolist()
    graph: Any = nx.Graph()
    graph.add_edges_from(zip(tails, heads, strict=True))
    planar, _ = nx.check_planarity(graph)
    placed = nx.kamada_kawai_layout(graph, pos=nx.planar_layout(graph) if planar else None)
    node_xy = {node: (float(x), float(y)) for node, (x, y) in placed.items()}
    xy = np.asarray([node_xy[node] for pair in zip(tails, heads, strict=True) for node in pair])
    start, xy = _bowed(links, drawn, np.arange(0, 2 * len(drawn) + 1, 2), xy)
    return LinkShapes(drawn, start, xy, node_xy, None, schematic=True)


def _bowed(
    links: Mapping[str, Any], drawn: NDArray[np.int64], start: OffsetColumn, xy: FloatColumn
) -> tuple[OffsetColumn, FloatColumn]:
    """Bend straight links that join the same two nodes away from each other, so that each of them can be seen."""
    ends = zip(links["from_node_id"][drawn].tolist(), links["to_node_id"][drawn].tolist(), strict=True)
    pairs = [tuple(sorted((str(tail), str(head)))) for tail, head in ends]
    members: dict[tuple[str, ...], list[int]] = {}
    for line, pair in enumerate(pairs):
        members.setdefault(pair, []).append(line)
    along = np.linspace(0.0, 1.0, 17)[:, None]
    pieces = []
    for line, pair in enumerate(pairs):
        points = xy[start[line] : start[line + 1]]
        group = members[pair]
        if len(points) == 2 and len(group) > 1:
            chord = points[1] - points[0]
            side = 1.0 if str(links["from_node_id"][drawn[line]]) == pair[0] else -1.0
            bow = side * (group.index(line) - (len(group) - 1) / 2) * min(0.22, 0.8 / len(group))
            points = points[0] + along * chord + 4 * along * (1 - along) * bow * np.array([-chord[1], chord[0]]) * 0.5
        pieces.append(points)
    bowed_start = np.concatenate([[0], np.cumsum([len(points) for points in pieces])]).astype(np.int64)
    return bowed_start, np.concatenate(pieces)


@dataclass(frozen=True)
class _Frame:
    """The piece of the plane that a map shows, and its size in pixels."""

    left: float
    bottom: float
    units_per_px: float
    height_px: int

    def to_px(self, xy: FloatColumn) -> FloatColumn:
        """Return plane coordinates as pixels from the lower left corner."""
        return np.asarray((xy - np.array([self.left, self.bottom])) / self.units_per_px)

    def cuts(self, xy: FloatColumn) -> bool:
        """Return whether some of the points lie outside."""
        place = self.to_px(xy)
        return bool((place < 0).any() or (place > np.array([_WIDTH_PX, self.height_px])).any())


def _frame(xy: FloatColumn) -> _Frame:
    # Single far-off streets would shrink the city: the frame holds 99 % of the points each way.
    low, high = np.quantile(xy, [0.005, 0.995], axis=0) if len(xy) > 5000 else (xy.min(axis=0), xy.max(axis=0))
    span = np.maximum(high - low, 1e-9 * max(1.0, float(np.abs(xy).max())))
    span = np.maximum(span, 0.35 * span.max()) * (1.08 if len(xy) > 5000 else 1.2)
    middle = (low + high) / 2
    height_px = int(min(1.45, max(0.55, span[1] / span[0])) * _WIDTH_PX)
    units_per_px = float(max(span[0] / _WIDTH_PX, span[1] / height_px))
    return _Frame(middle[0] - units_per_px * _WIDTH_PX / 2, middle[1] - units_per_px * height_px / 2, units_per_px, height_px)


def _scale_bar(shapes: LinkShapes, frame: _Frame) -> ScaleBar | None:
    if shapes.metres_per_unit is None:
        return None
    width_m = frame.units_per_px * _WIDTH_PX * shapes.metres_per_unit
    length_m = round_number(width_m / 4)
    label = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    return ScaleBar(label, length_m / width_m)


def _picture(
    shapes: LinkShapes,
    value: FloatColumn,
    emphasis: FloatColumn,
    coloured: BoolColumn,
    norm: Normalize,
    ramps: Mapping[Theme, Colormap],
) -> Picture:
    frame = _frame(shapes.xy)
    n_lines = len(shapes.link_idx)
    small = n_lines <= LARGEST_SCHEMATIC
    widest_px = 9.0 if small else 6.0 if n_lines < 3000 else 3.6
    # On small networks the two directions are bowed apart already.
    shift_px = 0.0 if small else widest_px / 4 + (0.6 if n_lines < 3000 else 0.0)
    xy = _shifted(frame.to_px(shapes.xy), shapes.start, shift_px)
    # What matters most is drawn last, on top.
    order = np.flatnonzero(coloured)[np.argsort(emphasis[coloured], kind="stable")]
    lines = [xy[shapes.start[line] : shapes.start[line + 1]] for line in order]
    width_px = (0.16 + 0.84 * emphasis[order]) * widest_px
    figure = Figure(figsize=(_WIDTH_PX / _DPI, frame.height_px / _DPI), dpi=_DPI)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(0, _WIDTH_PX), ylim=(0, frame.height_px))
    ground_px = 2.0 if small else 1.0
    ground = PathCollection([_joined(xy, shapes.start, ~coloured)], facecolors="none", linewidths=ground_px * _POINTS_PER_PX)
    streets = LineCollection(lines, linewidths=width_px * _POINTS_PER_PX, capstyle="round")
    heads = PolyCollection(_arrowheads(lines, width_px) if small else [], linewidths=0)
    axes.add_collection(ground, autolim=False)
    axes.add_collection(streets, autolim=False)
    axes.add_collection(heads, autolim=False)
    nodes = _node_marks(axes, shapes, frame) if small else None
    png = {}
    # The lines are built once; only the colours change between the themes.
    for theme in THEMES:
        colours = ramps[theme](norm(value[order]))
        figure.set_facecolor(_PLATE[theme])
        ground.set_edgecolor(_FAINT[theme])
        streets.set_color(colours)
        heads.set_facecolor(colours)
        if nodes is not None:
            nodes.recolour(theme)
        canvas.draw()  # type: ignore[no-untyped-call]
        png[theme] = _png(canvas)
    ramp = {theme: ", ".join(to_hex(ramps[theme](share)) for share in np.linspace(0, 1, 9)) for theme in THEMES}
    return Picture(png, ramp, _WIDTH_PX, frame.height_px, _scale_bar(shapes, frame), frame.cuts(shapes.xy))


def _joined(xy: FloatColumn, start: OffsetColumn, chosen: BoolColumn) -> Path:
    """Return the chosen lines as one path of many pieces, which is drawn much faster than many paths."""
    n_points = np.diff(start)
    kept = np.repeat(chosen, n_points)
    codes = np.full(len(xy), Path.LINETO, dtype=Path.code_type)
    codes[start[:-1]] = Path.MOVETO
    return Path(xy[kept], codes[kept])


def _shifted(xy: FloatColumn, start: OffsetColumn, shift_px: float) -> FloatColumn:
    """Move every line to the right of its direction, so that the two directions of a street lie side by side."""
    chord = xy[start[1:] - 1] - xy[start[:-1]]
    length = np.hypot(chord[:, 0], chord[:, 1])
    normal = np.column_stack([chord[:, 1], -chord[:, 0]]) / np.where(length > 0, length, 1.0)[:, None]
    return np.asarray(xy + np.repeat(normal * shift_px, np.diff(start), axis=0))


def _arrowheads(lines: list[FloatColumn], width_px: FloatColumn) -> list[FloatColumn]:
    """Return a triangle at three fifths of each line, pointing along it."""
    heads = []
    for points, width in zip(lines, width_px, strict=True):
        at = max(1, round(0.6 * (len(points) - 1)))
        here, before = points[at] if len(points) > 2 else points[0] + 0.6 * (points[1] - points[0]), points[at - 1]
        direction = (here - before) / max(1e-9, float(np.hypot(*(here - before))))
        across, size = np.array([-direction[1], direction[0]]), 5.0 + 0.9 * width
        heads.append(
            np.array([here + direction * size, here - direction * size + across * size, here - direction * size - across * size])
        )
    return heads


@dataclass(frozen=True, eq=False)
class _NodeMarks:
    """Circles and ids of the nodes of a small network."""

    circles: PathCollection
    labels: list[Text]

    def recolour(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self.circles.set_facecolor(_PLATE[theme])
        self.circles.set_edgecolor(_NODE[theme])
        for label in self.labels:
            label.set_color(_NODE[theme])


def _node_marks(axes: Axes, shapes: LinkShapes, frame: _Frame) -> _NodeMarks:
    names = [str(node) for node in shapes.node_xy]
    xy = frame.to_px(np.asarray(list(shapes.node_xy.values())))
    # Ids that do not fit into a circle would only hide the links.
    labelled = len(names) <= 40 and max(map(len, names)) <= 3
    circles = axes.scatter(xy[:, 0], xy[:, 1], s=1000 if labelled else 30, linewidths=1.4, zorder=3)
    centred: dict[str, Any] = {"fontsize": 13, "ha": "center", "va": "center_baseline", "zorder": 4}
    return _NodeMarks(
        circles, [axes.text(x, y, name, **centred) for name, (x, y) in zip(names, xy, strict=True)] if labelled else []
    )


def _png(canvas: FigureCanvasAgg) -> bytes:
    """Return the picture as PNG with a palette, which takes a third of the room."""
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    picture = Image.fromarray(pixels[:, :, :3]).quantize(_PALETTE_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    picture.save(stream, format="PNG", compress_level=6)
    return stream.getvalue()
