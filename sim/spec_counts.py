"""Link counts from which demand is estimated: `[demand.counts]`; the method stands in `sim.assignment.od_estimation`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sim.spec_section import AtLeastZero, FileName, Positive, Section


class Counts(Section):
    """Counted flows of links; the demand of this scenario becomes the prior that they correct."""

    file: FileName
    """CSV (plain or gzipped) or Parquet with the columns link_id and count_vph."""
    count_error: Positive = 0.05
    """Relative standard deviation of a count."""
    least_error_vph: Positive = 5.0
    """Standard deviation of a count at least, vehicles an hour."""
    prior_error: Positive = 0.5
    """Relative standard deviation of an OD cell around the prior's pattern; the prior's total is free."""
    rounds: Annotated[int, Field(ge=1, le=1000)] = 20
    """Most rounds of estimating and assigning."""
    gap: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 1e-6
    """Relative gap of the assignments in between."""
    least_change: AtLeastZero = 1e-3
    """A round counts as progress when it lowers the best objective by more than this share."""
