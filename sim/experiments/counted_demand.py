"""Demand corrected by link counts, as a run does it: before any what-if change, since counts belong to the network as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sim.assignment.od_estimation import CountFit, estimate_demand
from sim.assignment.problem import make_problem
from sim.demand.link_counts import read_link_counts
from sim.errors import InputError
from sim.experiments.streets import Streets
from sim.metrics import geh
from sim.network.road_network import RoadNetwork
from sim.spec import DemandSpec, MatsimDemand, TripsDemand

COUNTS = "counts"
DEMAND = "od_estimate"
GOOD_GEH = 5.0
FAIR_GEH = 10.0


def fit_counts(spec: DemandSpec, streets: Streets, folder: Path) -> tuple[Streets, CountFit | None]:
    """Return the streets with the demand that fits the counts, and how well it does; None where the scenario names no counts.

    Raises
    ------
    InputError
        The file is bad, or the demand is a list of single trips, which no matrix replaces.
    """
    if spec.counts is None:
        return streets, None
    if isinstance(spec, TripsDemand | MatsimDemand):
        problem = f"counts correct a matrix, and source = {spec.source!r} lists single trips"
        raise InputError(problem, where="demand.counts", allowed="counts with another source of demand")
    counts = read_link_counts(folder / spec.counts.file, streets.network)
    fit = estimate_demand(streets.turn_graph, streets.problem.od, counts, spec.counts)
    return replace(streets, problem=make_problem(streets.turn_graph.network, fit.od)), fit


def count_notes(fit: CountFit) -> tuple[str, ...]:
    """Return what whoever sees a result must know of the counts."""
    before, after = (_shares(fit, flow)["geh_below_5"] for flow in (fit.prior_flow_vph, fit.flow_vph))
    return (
        f"The demand was corrected by counts on {len(fit.counts.link_idx):,} links: {fit.od.total_vph:,.6g} vehicles an hour "
        f"instead of {fit.prior.total_vph:,.6g}; GEH is below 5 on {after:.1%} of these links ({before:.1%} before).",
    )


def counts_content(fit: CountFit) -> dict[str, Any]:
    """Return what poa.json says under "counts"."""
    return {
        "links": len(fit.counts.link_idx),
        "rounds": len(fit.objective) - 1,
        "stopped_because": fit.stopped_because,
        "prior": {"demand_vph": fit.prior.total_vph, "objective": fit.objective[0], **_shares(fit, fit.prior_flow_vph)},
        "estimate": {"demand_vph": fit.od.total_vph, "objective": min(fit.objective), **_shares(fit, fit.flow_vph)},
    }


def _shares(fit: CountFit, flow_vph: Any) -> dict[str, float]:
    count_vph = fit.counts.count_vph
    found = geh(flow_vph, count_vph)
    return {
        "geh_below_5": float(np.mean(found < GOOD_GEH)),
        "geh_below_10": float(np.mean(found < FAIR_GEH)),
        "largest_geh": float(found.max()),
        "root_mean_square_vph": float(np.sqrt(np.mean((flow_vph - count_vph) ** 2))),
    }


def count_tables(fit: CountFit, network: RoadNetwork) -> dict[str, pa.Table]:
    """Return the tables of the run folder: counts with both flows, and the matrix before and after."""
    counts, prior = fit.counts, fit.prior
    return {
        COUNTS: pa.table(
            {
                "link_id": pa.array(network.link_id[counts.link_idx].tolist()),
                "count_vph": pa.array(counts.count_vph),
                "prior_flow_vph": pa.array(fit.prior_flow_vph),
                "flow_vph": pa.array(fit.flow_vph),
                "prior_geh": pa.array(geh(fit.prior_flow_vph, counts.count_vph)),
                "geh": pa.array(geh(fit.flow_vph, counts.count_vph)),
            }
        ),
        DEMAND: pa.table(
            {
                "origin_zone_id": pa.array(prior.zone_id[prior.origin_zone_idx].tolist()),
                "destination_zone_id": pa.array(prior.zone_id[prior.destination_zone_idx].tolist()),
                "prior_vph": pa.array(prior.demand_vph),
                "demand_vph": pa.array(fit.od.demand_vph),
            }
        ),
    }
