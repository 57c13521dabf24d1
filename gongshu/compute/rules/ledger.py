"""What released groups tell together: no combination of them may be about fewer than ``units_min`` units.

Every released statistic is a sum over a set of units (or can be told from sums). Whoever knows several can add and
subtract them: all but one, a total and its parts, halves of a crowd. So a new set is laid beside all earlier ones. What is
left of it, when everything that can be told from them is taken away, must be spread over ``units_min`` units at least; and all
that is told of one unit is bounded. That is the leverage of regression analysis: a cell of n units has the leverage 1/n for each
of them, a unit whose value can be solved for has the leverage 1. The rule for one cell becomes a rule for all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np

from gongshu.base.decisions import Kind, rule
from gongshu.compute.rules.differences import group_hash
from gongshu.compute.types import GovernedQuery, ReleasedGroup, SetKey, Shown, Stage, Trace

REDUNDANT = 0.01
"""When this little (of a unit) is left of a set, it can be told from earlier ones already."""
INVERSE_CUTOFF = 1e-10
ROUNDING = 1e-6
CHUNK_ROWS = 50_000
LEDGER_SPENT = rule(
    "sets-spent", Kind.CONFLICT, zh="数据版本 {version} 已发布的统计过多，不再接受新的统计。",
    en="Too many statistics of the version {version} have been released; no more are given.",
    fix_zh="请使用已发布的结果，或等待新的数据版本；确有需要的，请实施机构调整参数 ledger.sets_max。",
    fix_en="Use what was released, wait for the next version, or ask the agency to raise ledger.sets_max.",
    law="docs/explanation/ledger.md",
)  # fmt: skip


Families = frozenset[str]
"""The families of boxes to which a set belongs: see ``Definition.is_box``."""


def decide_repeats(
    groups: Sequence[ReleasedGroup], known: Mapping[SetKey, frozenset[Shown]], whole: int | None, units_min: int
) -> frozenset[tuple[int, int]]:
    """Return the groups (trace, group) that would tell that nobody stands between two sets, or too few.

    A set that is known may be shown again by the definition under which it is known. By another one it would tell that the two
    definitions differ by nobody, where a difference of one would have been withheld: so whether it is one or nobody must not be
    seen. Tables of the whole version by bare columns are exempt where each of their groups is known: a name beside its
    code. ``whole``: how many units the relation has; that many is a repetition, because everybody knows it.
    """
    seen = {units: set(shown) for units, shown in known.items()}
    refused: set[tuple[int, int]] = set()
    for _, found in groupby(groups, key=lambda group: (group.trace, group.condition)):
        table = tuple(found)
        is_same_table = all(
            group.shown.is_open and any(one.is_open for one in seen.get(group.units, ())) for group in table
        )
        for group in table:
            earlier = seen.get(group.units, set())
            is_repeated = bool(earlier) and group.shown.condition not in {one.condition for one in earlier}
            missing = None if whole is None else whole - group.units[0]
            is_whole = missing is not None and (0 < missing < units_min or (not missing and not group.shown.is_open))
            if is_whole or (is_repeated and not is_same_table):
                refused.add((group.trace, group.group))
        for group in table:
            if (group.trace, group.group) not in refused:
                seen.setdefault(group.units, set()).add(group.shown)
    return frozenset(refused)


@dataclass
class _Span:
    """What can be told from some sets: those of them that do not follow from the others, and a factor of their overlaps."""

    places: list[int] = field(default_factory=list)
    factor: Any = field(
        default_factory=lambda: np.zeros((0, 0))
    )  # the inverse of Cholesky's, grown by a row for each set
    seen: int = 0

    def left_of(self, overlaps: Any, place: int) -> tuple[float, Any]:
        """Return what is left of a set when all that can be told from these is taken away, and its shadow on them."""
        shadow = self.factor @ overlaps[self.places, place]
        return float(overlaps[place, place] - shadow @ shadow), shadow

    def add(self, overlaps: Any, place: int) -> None:
        """Add a set, unless it follows from the others."""
        left, shadow = self.left_of(overlaps, place)
        if left <= REDUNDANT:
            return
        count = len(self.places)
        grown = np.zeros((count + 1, count + 1))
        grown[:count, :count] = self.factor
        grown[count, :count] = -(shadow @ self.factor) / left**0.5
        grown[count, count] = 1 / left**0.5
        self.places.append(place)
        self.factor = grown


def decide_sets(  # noqa: PLR0917 - what lies beside each other, and the limits
    weights: Any, units: Any, known: int, units_min: int, leverage_max: float, families: Sequence[Families] = ()
) -> list[bool]:
    """Return for each set after the first ``known`` whether it may be shown beside these and the ones before it.

    ``weights`` has a row for each kind of unit (those that are in the same sets are of one kind) and a column for each set: the
    weight of such a unit in it. ``units`` says how many there are of each kind. ``leverage_max`` is a share of 1. A set that
    can be told from others already tells that nobody is missing: it is shown where those of its own ``families`` tell it.
    """
    given = np.asarray(weights, dtype=float)
    overlaps = given.T @ (given * np.asarray(units, dtype=float)[:, None])
    inverse = np.linalg.pinv(overlaps[:known, :known], rcond=INVERSE_CUTOFF, hermitian=True)
    told = _leverages(given[:, :known], inverse)
    shares = inverse @ overlaps[:known, known:]
    left = overlaps[known:, known:] - overlaps[known:, :known] @ shares
    made = np.hstack([-shares.T, np.eye(len(overlaps) - known)])
    passes, shown, spans = [], list(range(known)), dict[str, _Span]()
    for i in range(len(left)):
        remains = float(left[i, i])
        if remains <= REDUNDANT:
            passes.append(_follows(overlaps, known + i, shown, families, spans))
            continue
        adds = (given @ made[i]) ** 2 / remains
        touched = adds > ROUNDING / units_min
        is_spread = float(adds.max()) * units_min <= 1 + ROUNDING
        passes.append(is_spread and float((told + adds)[touched].max(initial=0.0)) <= leverage_max + ROUNDING)
        if passes[-1]:
            shown.append(known + i)
            told += adds
            factors = left[i + 1 :, i] / remains
            left[i + 1 :] -= np.outer(factors, left[i])
            made[i + 1 :] -= np.outer(factors, made[i])
    return passes


def _follows(
    overlaps: Any, place: int, shown: list[int], families: Sequence[Families], spans: dict[str, _Span]
) -> bool:
    """Return whether sets of one of its families tell a set: parts of a table by bare columns add up whoever is in them."""
    for family in sorted(families[place]) if families else ():
        span = spans.setdefault(family, _Span())
        for other in shown[span.seen :]:
            if family in families[other]:
                span.add(overlaps, other)
        span.seen = len(shown)
        if span.left_of(overlaps, place)[0] <= REDUNDANT:
            return True
    return False


def _leverages(given: Any, inverse: Any) -> Any:
    """Return what sets that are known tell of each kind of unit."""
    told = np.zeros(len(given))
    for start in range(0, len(given), CHUNK_ROWS):
        part = given[start : start + CHUNK_ROWS]
        told[start : start + CHUNK_ROWS] = np.einsum("ij,ij->i", part @ inverse, part)
    return told


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
