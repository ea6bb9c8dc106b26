"""A small scenario of queue traffic: two ways from A to B with a bridge between them, and the way back."""

from __future__ import annotations

from pathlib import Path

NET = """<NUMBER OF ZONES> 2
<NUMBER OF NODES> 4
<FIRST THRU NODE> 1
<NUMBER OF LINKS> 6
<END OF METADATA>
~ tail head capacity length time b power speed toll type ;
1 3 1800 1 1 0.15 4 0 0 1 ;
1 4 900 1 2 0.15 4 0 0 1 ;
3 4 900 1 1 0.15 4 0 0 1 ;
3 2 600 1 2 0.15 4 0 0 1 ;
4 2 600 1 1 0.15 4 0 0 1 ;
2 1 1800 1 1 0.15 4 0 0 1 ;
"""
TRIPS = """<NUMBER OF ZONES> 2
<TOTAL OD FLOW> 260
<END OF METADATA>
Origin 1
2 : 250;
Origin 2
1 : 10;
"""
SCENARIO = """name = "bridge"
seed = 1
[network]
source = "tntp"
net = "bridge_net.tntp"
time_unit_s = 60
length_unit_m = 1000
[demand]
source = "tntp"
trips = "bridge_trips.tntp"
[demand.profile]
period_s = 900
[traffic]
model = "queue"
days = 100
bin_s = 60.0
optimum_days = 5
optimum_iterations = 10
bound_iterations = 30
bound_cell_s = 1.0
"""


def write_bridge(folder: Path, traffic: str = "", worlds: str = "") -> Path:
    """Write the scenario with its files and return its path; `traffic` and `worlds` are further lines of these sections."""
    (folder / "bridge_net.tntp").write_text(NET)
    (folder / "bridge_trips.tntp").write_text(TRIPS)
    scenario = folder / "bridge.toml"
    scenario.write_text(f"{SCENARIO}{traffic}\n[worlds]\n{worlds}\n")
    return scenario
