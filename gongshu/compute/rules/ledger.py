"""What released groups tell together: no combination of them may be about fewer than ``units_min`` units.

Every released statistic is a sum over a set of units (or can be told from sums). Whoever knows several can add and
subtract them: all but one, a total and its parts, halves of a crowd. So a new set is laid beside all earlier ones: what is
left of it when everything that can be told from them is taken away must be spread over ``units_min`` units at least. That
is the leverage of regression analysis: of one cell of n units each has the leverage 1/n, and the rule for one cell (at least
``units_min`` units) becomes the rule for all of them.

Works on overlaps alone (how many units two sets share), never on a unit.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gongshu.base.decisions import Kind, rule
from gongshu.compute.rules.differences import group_hash
from gongshu.compute.types import GovernedQuery, Stage, Trace

REDUNDANT = 0.01
"""When this little (of a unit) is left of a set, it can be told from earlier ones already: nothing new is shown."""
PLAIN_FACTOR = 16
"""A combination this many times as large as the minimum is taken to be spread: no unit's part of it is above 4."""
INVERSE_CUTOFF = 1e-10
SETS_SPENT = "sets-spent"

LEDGER_SPENT = rule(
    SETS_SPENT, Kind.CONFLICT, zh="数据版本 {version} 已发布的统计过多，不再接受新的统计。",
    en="Too many statistics of the version {version} have been released; no more are given.",
    fix_zh="请使用已发布的结果，或等待新的数据版本；确有需要的，请实施机构调整参数 ledger.sets_max。",
    fix_en="Use what was released, wait for the next version, or ask the agency to raise ledger.sets_max.",
    law="docs/explanation/ledger.md",
)  # fmt: skip


Look = Callable[[Any], tuple[float, float]]
"""Measures a combination of sets, given by its coefficients in their order: the squares of the units' parts, summed, and the
largest of them."""


def decide_sets(overlaps: Any, known: int, units_min: int, look: Look) -> list[bool]:
    """Return for each set after the first ``known`` whether it may be shown beside these and the ones before it.

    ``overlaps`` holds in row i and column j what sets i and j share. ``look`` is asked where the overlaps alone leave doubt.
    """
    given = np.array(overlaps, dtype=float)
    shares = np.linalg.pinv(given[:known, :known], rcond=INVERSE_CUTOFF, hermitian=True) @ given[:known, known:]
    left = given[known:, known:] - given[known:, :known] @ shares
    made = np.hstack([-shares.T, np.eye(len(given) - known)])
    passes = []
    for i in range(len(left)):
        remains = float(left[i, i])
        is_spread = remains >= PLAIN_FACTOR * units_min or _is_spread(look(made[i]), units_min)
        passes.append(remains <= REDUNDANT or is_spread)
        if remains > REDUNDANT and is_spread:
            factors = left[i + 1 :, i] / remains
            left[i + 1 :] -= np.outer(factors, left[i])
            made[i + 1 :] -= np.outer(factors, made[i])
    return passes


def _is_spread(found: tuple[float, float], units_min: int) -> bool:
    total, largest = found
    return total > 0 and largest * units_min <= total * (1 + REDUNDANT)


def without(query: GovernedQuery, groups: dict[str, tuple[int, ...]]) -> GovernedQuery:
    """Return the query with these groups (their hashes, by stage) withheld."""
    keys = {trace.stage: trace.keys for trace in query.traces}

    def checked(stage: Stage) -> Stage:
        found = groups.get(stage.name, ())
        if not found:
            return stage
        sql = (
            f"SELECT * REPLACE (passes AND {group_hash(keys[stage.name])} NOT IN ({', '.join(map(str, found))}) AS passes) "  # noqa: S608 - made here
            f"FROM ({stage.sql})"
        )
        return replace(stage, sql=sql)

    return replace(query, stages=tuple(checked(stage) for stage in query.stages))


def trace_sql(traces: tuple[Trace, ...]) -> str:
    """Write which unit has how many rows in which released group, by stage: what the ledger keeps."""
    return " UNION ALL ".join(f"SELECT {i} AS s, * FROM ({trace.sql})" for i, trace in enumerate(traces))  # noqa: S608
