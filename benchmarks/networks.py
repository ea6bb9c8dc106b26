"""What it costs to read networks: turn restrictions of real extracts, and the memory of files of 50 MB in every format.

    python -m benchmarks.networks [--data DIR]

Files of 50 MB are made on the spot (a grid of streets with shapes) and read in a process of their own, whose peak memory counts
with all its libraries. The extracts are those of the shared data (DIR, or ROUTEPACT_SHARED_DATA).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

MEGABYTE = 1e6
FILE_BYTES = 50 * MEGABYTE
MOST_MB = 1000.0
EXTRACTS = ("london.osm.pbf", "baltimore.osm.pbf", "poa_osm.pbf", "porto_portugal.osm.pbf")


def measure(kind: str, path: Path) -> str:
    """Read a file in this process and return what the table shows of it."""
    begin = time.process_time()
    network = readers()[kind](path)
    seconds = time.process_time() - begin
    peak_mb = peak_bytes() / MEGABYTE
    size_mb = sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()) / MEGABYTE
    return f"{kind:22} {size_mb:8.1f} {network:>12,} {seconds:8.1f} {peak_mb:8.0f} {'yes' if peak_mb <= MOST_MB else 'NO':>8}"


def peak_bytes() -> float:
    """Return the peak memory of this process.

    The counter of getrusage starts with the size of the parent at the fork; Linux's own starts at the program.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) * 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024


def readers() -> dict[str, Callable[[Path], int]]:
    """Return a function a format that reads a file and counts its links or trips."""
    from sim.demand.trip_list import read_trip_list
    from sim.network.gmns import read_gmns
    from sim.network.matsim import read_matsim_network
    from sim.network.osm import read_osm
    from sim.network.sumo import read_sumo
    from sim.network.synthetic import grid
    from sim.network.tntp import read_tntp_network

    return {
        "OSM .pbf": lambda path: read_osm(path).n_links,
        "OSM .osm": lambda path: read_osm(path).n_links,
        "GMNS": lambda path: read_gmns(path).n_links,
        "MATSim network.xml": lambda path: read_matsim_network(path).n_links,
        "SUMO .net.xml": lambda path: read_sumo(path).n_links,
        "TNTP": lambda path: read_tntp_network(path).n_links,
        "trips .csv": lambda path: read_trip_list(path, grid(10, 10)).n_trips,
    }


def streets(n_rows: int, n_columns: int) -> Iterator[tuple[int, int]]:
    """Yield the ends of a grid's links, both directions."""
    for node in range(n_rows * n_columns):
        if node % n_columns + 1 < n_columns:
            yield node, node + 1
            yield node + 1, node
        if node + n_columns < n_rows * n_columns:
            yield node, node + n_columns
            yield node + n_columns, node


def write_gmns_files(folder: Path) -> Path:
    """Write a GMNS folder of about 50 MB."""
    folder.mkdir()
    side = 295
    lines = ["link_id,from_node_id,to_node_id,directed,length,facility_type,capacity,free_speed,lanes,name,geometry"]
    for number, (tail, head) in enumerate(streets(side, side)):
        (x, y), (to_x, to_y) = ((node % side * 0.001, node // side * 0.001) for node in (tail, head))
        shape = f"{x:.7f} {y:.7f}, {(x + to_x) / 2:.7f} {(y + to_y) / 2 + 1e-5:.7f}, {to_x:.7f} {to_y:.7f}"
        lines.append(f'{number},{tail},{head},1,0.1113,residential,600,35,1,Street {number % 5000},"LINESTRING ({shape})"')
    (folder / "link.csv").write_text("\n".join(lines) + "\n")
    nodes = [f"{node},{node % side * 0.001:.7f},{node // side * 0.001:.7f}" for node in range(side * side)]
    (folder / "node.csv").write_text("node_id,x_coord,y_coord\n" + "\n".join(nodes) + "\n")
    (folder / "config.csv").write_text("long_length,speed,crs\nkm,kph,EPSG:4326\n")
    return folder


def write_matsim_file(path: Path) -> Path:
    """Write a MATSim network of about 50 MB."""
    side = 325
    nodes = "\n".join(f'<node id="{node}" x="{node % side * 100}" y="{node // side * 100}"/>' for node in range(side * side))
    links = "\n".join(
        f'<link id="{number}" from="{tail}" to="{head}" length="100" freespeed="9.72" capacity="600" permlanes="1" modes="car"/>'
        for number, (tail, head) in enumerate(streets(side, side))
    )
    path.write_text(f'<network name="grid"><nodes>{nodes}</nodes><links capperiod="01:00:00">{links}</links></network>')
    return path


def write_sumo_file(path: Path) -> Path:
    """Write a SUMO network of about 50 MB."""
    side = 255
    edges = "\n".join(
        f'<edge id="e{number}" from="{tail}" to="{head}" type="highway.residential">'
        f'<lane id="e{number}_0" index="0" speed="9.72" length="100" shape="0,0 50,50 100,100"/></edge>'
        for number, (tail, head) in enumerate(streets(side, side))
    )
    nodes = "\n".join(
        f'<junction id="{node}" type="priority" x="{node % side * 100}" y="{node // side * 100}" '
        f'incLanes="e1_0 e2_0 e3_0" shape="0,0"/>'
        for node in range(side * side)
    )
    path.write_text(f'<net version="1.20"><location netOffset="0,0" projParameter="!"/>{edges}{nodes}</net>')
    return path


def write_tntp_file(path: Path) -> Path:
    """Write a TNTP network of about 50 MB."""
    side = 468
    rows = [f"\t{tail + 1}\t{head + 1}\t600.0\t0.1\t0.17142857142857\t0.15\t4\t35\t0\t1\t;" for tail, head in streets(side, side)]
    head = f"<NUMBER OF ZONES> 9\n<NUMBER OF NODES> {side * side}\n<FIRST THRU NODE> 10\n<NUMBER OF LINKS> {len(rows)}\n"
    path.write_text(head + "<END OF METADATA>\n" + "\n".join(rows) + "\n")
    return path


def write_trips_file(path: Path) -> Path:
    """Write a list of trips of about 50 MB."""
    from sim.network.synthetic import grid

    zones, draw = grid(10, 10).zone_id, np.random.default_rng(1)
    n_trips = 2_150_000
    ends, departure_s = draw.choice(zones, (n_trips, 2)), draw.uniform(0, 86400, n_trips).round(2)
    rows = zip(ends[:, 0].tolist(), ends[:, 1].tolist(), departure_s.tolist(), strict=True)
    path.write_text("origin,destination,departure_s,weight\n" + "\n".join(f"{a},{b},{s},1.00000" for a, b, s in rows) + "\n")
    return path


def write_osm_file(extract: Path, path: Path) -> Path:
    """Write an extract as plain XML."""
    import osmium

    with osmium.SimpleWriter(str(path)) as writer:
        for entity in osmium.FileProcessor(str(extract)):
            writer.add(entity)
    return path


def in_own_process(kind: str, path: Path) -> None:
    """Measure in a fresh process, so that the peak is that of one file."""
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.networks", "--one", kind, str(path)], check=True, text=True, capture_output=True
    )
    print(finished.stdout.rstrip(), flush=True)


def tell_restrictions(extracts: list[Path]) -> None:
    """Print what became of the turn restrictions, and how much larger the graph is that honours them."""
    from sim.network.junctions import JunctionRules
    from sim.network.osm import read_osm, read_osm_restrictions
    from sim.network.turns import turn_graph

    print(f"{'extract':18} relations applied refused unsupported  bans    links  graph  with times of turns   graph CPU s")
    for path in extracts:
        network, outcomes = read_osm_restrictions(path)
        count = {kind: sum(found.outcome == kind for found in outcomes) for kind in ("applied", "refused", "unsupported")}
        graph = turn_graph(network)
        timed = read_osm(path, junctions=JunctionRules())
        begin = time.process_time()
        timed_graph = turn_graph(timed)
        seconds = time.process_time() - begin
        print(
            f"{network.name[:18]:18} {len(outcomes):9} {count['applied']:7} {count['refused']:7} {count['unsupported']:11}"
            f" {network.turns.n_bans:5} {network.n_links:8,} {graph.network.n_links / network.n_links - 1:+6.2%}"
            f" {timed_graph.network.n_links / network.n_links - 1:+20.0%} {seconds:13.1f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("ROUTEPACT_SHARED_DATA", "../shared/data")))
    parser.add_argument("--one", nargs=2, metavar=("FORMAT", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(measure(arguments.one[0], Path(arguments.one[1])))
        return
    extracts = [path for name in EXTRACTS if (path := arguments.data / "osm" / name).is_file()]
    if not extracts:
        print(f"no extracts in {arguments.data / 'osm'}: turn restrictions and OpenStreetMap files are left out")
    tell_restrictions(extracts) if extracts else None
    print(f"\n{'format':22} {'MB':>8} {'links, trips':>12} {'CPU s':>8} {'peak MB':>8} {'< 1 GB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        for kind, path in (
            ("GMNS", write_gmns_files(made / "gmns")),
            ("MATSim network.xml", write_matsim_file(made / "network.xml")),
            ("SUMO .net.xml", write_sumo_file(made / "town.net.xml")),
            ("TNTP", write_tntp_file(made / "grid_net.tntp")),
            ("trips .csv", write_trips_file(made / "trips.csv")),
        ):
            in_own_process(kind, path)
        for extract in extracts[-1:]:
            in_own_process("OSM .pbf", extract)
            in_own_process("OSM .osm", write_osm_file(extract, made / "extract.osm"))


if __name__ == "__main__":
    main()
