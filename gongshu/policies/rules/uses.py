"""The algebra of column uses: defaults by grade, narrowing, what is wider. Pure."""

from collections.abc import Iterable, Mapping

from gongshu.policies.types import ColumnPolicy, ContributionBounds, Grade, Protection, ResourcePolicy, Thresholds, Use

Wider = tuple[tuple[str, frozenset[Use]], ...]
"""Columns with the uses that go beyond what is allowed; empty when nothing does."""

ALL_USES = frozenset(Use)
IMPLIED_BY_REVEAL = frozenset({Use.GROUP, Use.TOTAL, Use.RANK})
SEES_RAW_VALUE = frozenset({Use.JOIN, Use.COMPARE})
"""``join`` and ``compare`` see the raw value; every other use sees the masked one."""

DEFAULT_USES: dict[Grade, frozenset[Use]] = {
    Grade.DIRECT_IDENTIFIER: frozenset({Use.JOIN, Use.COMPARE}),
    Grade.SENSITIVE: frozenset({Use.TOTAL, Use.COMPARE}),
    Grade.QUASI_IDENTIFIER: frozenset({Use.GROUP, Use.FILTER, Use.TOTAL}),
    Grade.ORDINARY: frozenset({Use.GROUP, Use.FILTER, Use.TOTAL, Use.RANK}),
    Grade.OPEN: ALL_USES,
}


def closed(uses: frozenset[Use]) -> frozenset[Use]:
    """Return ``uses`` with what they imply: ``reveal`` implies ``group``, ``total`` and ``rank``, and nothing else."""
    return uses | IMPLIED_BY_REVEAL if Use.REVEAL in uses else uses


def default_uses(grade: Grade) -> frozenset[Use]:
    """Return the uses that a column of ``grade`` has unless the provider confirms others by name."""
    return DEFAULT_USES[grade]


def default_policy(grades: Mapping[str, Grade], unit: tuple[str, ...] = ()) -> ResourcePolicy:
    """Return the policy that follows from the grades alone, protecting ``unit``."""
    return ResourcePolicy(tuple(ColumnPolicy(name, default_uses(grade)) for name, grade in grades.items()), unit)


def combine(sets: Iterable[frozenset[Use]]) -> frozenset[Use]:
    """Return what is left when several columns meet in one expression: the stricter wins, so the intersection."""
    left = ALL_USES
    for uses in sets:
        left &= closed(uses)
    return left


def strictest(thresholds: Iterable[Thresholds]) -> Thresholds:
    """Return thresholds that satisfy each of ``thresholds`` (at least one)."""
    given = tuple(thresholds)
    return Thresholds(
        units_min=max(t.units_min for t in given),
        dominance_p_percent=max(t.dominance_p_percent for t in given),
        dominance_top_n=max(t.dominance_top_n for t in given),
        dominance_top_percent=min(t.dominance_top_percent for t in given),
        protection=_strictest_protection(tuple(t.protection for t in given)),
    )


def _strictest_protection(given: tuple[Protection, ...]) -> Protection:
    bounds = tuple(p.bounds for p in given if p.bounds is not None)
    rounding = tuple(p.rounding for p in given if p.rounding is not None)
    noise = tuple(p.noise for p in given if p.noise is not None)
    groups = tuple(b.groups_per_unit_max for b in bounds if b.groups_per_unit_max)
    return Protection(
        ContributionBounds(min(b.rows_per_group_max for b in bounds), min(groups, default=0)) if bounds else None,
        max(rounding, key=lambda r: (r.base, r.redact_max)) if rounding and not noise else None,
        min(noise, key=lambda n: (n.epsilon_milli, n.budget_epsilon_milli)) if noise else None,
    )


def _narrow_column(outer: ColumnPolicy, inner: ColumnPolicy) -> ColumnPolicy:
    uses = closed(outer.uses) & closed(inner.uses)
    if outer.mask is not None and inner.mask is not None and outer.mask != inner.mask:
        # Two masks do not compose into one: what either of them would show is then not shown at all.
        uses &= SEES_RAW_VALUE
    return ColumnPolicy(outer.column, uses, outer.mask or inner.mask)


def narrow(outer: ResourcePolicy, inner: ResourcePolicy) -> ResourcePolicy:
    """Return what ``outer`` and ``inner`` both allow. Never wider than either, in any respect.

    Uses are intersected, masks are kept, row filters must both hold, the privacy unit of ``outer`` stays.
    """
    columns = tuple(_narrow_column(column, inner.of(column.column)) for column in outer.columns)
    filters = tuple(dict.fromkeys(part for part in (outer.row_filter, inner.row_filter) if part))
    row_filter = filters[0] if len(filters) == 1 else " AND ".join(f"({part})" for part in filters)
    return ResourcePolicy(tuple(c for c in columns if c.uses), outer.unit, row_filter)


def excess(outer: ResourcePolicy, inner: ResourcePolicy) -> Wider:
    """Return the columns and uses that ``inner`` asks for and ``outer`` does not have. Empty: no wider."""
    beyond = ((c.column, closed(c.uses) - closed(outer.of(c.column).uses)) for c in inner.columns)
    return tuple((column, uses) for column, uses in beyond if uses)


def is_no_wider(outer: ResourcePolicy, inner: ResourcePolicy) -> bool:
    """Whether ``inner`` allows nothing that ``outer`` forbids: uses, masks, row filter and privacy unit."""
    if excess(outer, inner) or inner.unit != outer.unit:
        return False
    for column in inner.columns:
        mask = outer.of(column.column).mask
        if mask is not None and column.mask != mask and column.uses - SEES_RAW_VALUE:
            return False
    return outer.row_filter in {"", inner.row_filter} or f"({outer.row_filter})" in inner.row_filter


def wider_than_default(policy: ResourcePolicy, grades: Mapping[str, Grade]) -> Wider:
    """Return the uses that go beyond the default of each column's grade; the provider confirms each by name.

    A column without a grade has no default: every use of it is wider.
    """
    pairs = ((c.column, closed(c.uses), grades.get(c.column)) for c in policy.columns)
    beyond = ((name, uses - (closed(DEFAULT_USES[grade]) if grade else frozenset())) for name, uses, grade in pairs)
    return tuple((name, uses) for name, uses in beyond if uses)
