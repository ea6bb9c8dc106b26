"""levels.parquet: the coalition at further levels of participation and of the fee, one row a level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from sim.experiments.market_run import Level

_SCHEMA = pa.schema(
    [
        ("lever", pa.string()),
        ("level", pa.float64()),
        ("total_time_s", pa.float64()),
        ("ratio", pa.float64()),
        ("members", pa.int64()),
        ("members_saving_share", pa.float64()),
        ("others_saving_share", pa.float64()),
        ("below_baseline", pa.int64()),
        ("called_off", pa.int64()),
        ("contracts", pa.int64()),
        ("payments_micro", pa.int64()),
        ("true_up_micro", pa.int64()),
        ("fees_micro", pa.int64()),
        ("days", pa.int64()),
    ]
)


def level_table(levels: Sequence[tuple[Level, float]]) -> pa.Table:
    """Return levels: each with its ratio to the optimum; a share is null where there is nobody to share it."""
    rows: list[dict[str, Any]] = [
        {"lever": level.lever, "level": level.level, "total_time_s": level.total_time_s, "ratio": ratio, **level.content}
        for level, ratio in levels
    ]
    return pa.table({name: [row[name] for row in rows] for name in _SCHEMA.names}, schema=_SCHEMA)
