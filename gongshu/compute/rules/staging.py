"""From a grouped SELECT to its stage: the groups that thresholds let through, and what the SELECT shows of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import sqlglot
from sqlglot import exp

from gongshu.compute.rules import noise, part_totals, rounding, stage_sql, thresholds
from gongshu.compute.rules.behind import Behind
from gongshu.compute.rules.filled import has_unit, is_filled
from gongshu.compute.rules.grouping_sets import united
from gongshu.compute.rules.joins import Joins, write_from
from gongshu.compute.rules.refusals import LINK_BOUNDED, NOISE_ROWS, NOISE_UNIT, STATEMENT_TOO_LARGE
from gongshu.compute.rules.relations import Selected, Shown
from gongshu.compute.rules.scopes import MANY, Correlated, Instance, Scope, Source, Staged, links_most
from gongshu.compute.rules.stages import Collector, Draft
from gongshu.compute.rules.terms import BaseColumn, Mark, Term, column, quoted


@dataclass
class Rows:
    """What a SELECT reads: its scope with FROM and WHERE done."""

    scope: Scope
    condition: Term | None
    joins: Joins
    hidden: frozenset[BaseColumn]
    indirect: frozenset[str]
    correlated: tuple[Correlated, ...] = ()  # of a subquery: conditions that look at the SELECT around it

    @property
    def is_row_level(self) -> bool:
        """Whether rows of the data decide which rows these are; a released relation linked to rows is none any more."""
        scope = self.scope
        return bool(scope.links or scope.absences) or any(i.source.is_row_level for i in scope.instances)


def _unit(instance: Instance, position: int) -> exp.Expression:
    return column(instance.alias, instance.source.demand_unit(position))


def _order(instance: Instance, position: int) -> exp.Expression:
    return column(instance.alias, instance.source.demand_order(position))


def _origin(instance: Instance, position: int) -> exp.Expression:
    return column(instance.alias, instance.source.demand_side(position))


def stages(rows: Rows, collector: Collector) -> tuple[Staged, ...]:
    """Write the stage of a grouped SELECT, or one for each set of keys."""
    if not collector.sets:
        return (stage(rows, collector, is_single_row=not collector.keys),)
    made = tuple(
        stage(rows, replace(collector, alias=rows.scope.gate.fresh("r"), keys=[collector.keys[i] for i in own], sets=()),
              is_single_row=not own)
        for own in collector.sets
    )  # fmt: skip
    return _shown_sets(rows, collector, made)


def _shown_sets(rows: Rows, collector: Collector, made: tuple[Staged, ...]) -> tuple[Staged, ...]:
    """Return the groups of several sets that can be shown beside each other; ``sets`` come with the smallest first."""
    gate, source = rows.scope.gate, behind(rows)
    if gate.findings.reasons or gate.is_noisy or not source.units:
        return made
    kinds, found = len(source.kinds) + len(source.gone), list[tuple[part_totals.Part, Staged]]()
    for own, staged in zip(collector.sets, made, strict=True):
        part = part_totals.Part(staged.stage, own, len(own) + len(collector.wanted))
        totals = [(other, above.stage) for other, above in found if set(other.keys) < set(own)]
        shown = staged
        if totals:
            text = part_totals.shown(part, totals, kinds, gate.thresholds.units_min)
            name = gate.fresh("stage")
            query = cast(exp.Expression, sqlglot.parse_one(text, dialect="duckdb"))
            gate.drafts.append(Draft(name, query, len(own), part.columns, is_guarded=False))
            shown = staged.under(name)
        found.append((part, shown))
    return tuple(shown for _, shown in found)


def stage(rows: Rows, collector: Collector, *, is_single_row: bool) -> Staged:
    """Write the stage of a grouped SELECT, once everything that is asked of it is known."""
    scope, gate = rows.scope, rows.scope.gate
    marks: list[tuple[Mark, Term]] = [(k.mark, k) for k in collector.keys]
    released = tuple(collector.released(i, t.data_type, (t,)) for i, (_, t) in enumerate(marks))
    released += tuple(
        collector.released(len(marks) + i, w.arguments[0].data_type if w.arguments else None, w.arguments)
        for i, w in enumerate(collector.wanted)
    )
    name = gate.fresh("stage")
    staged = Staged(name, released, is_single_row=is_single_row)
    _check_protection(rows, collector)
    if gate.findings.reasons or gate.loud is not None:
        return staged  # nothing is written of what was refused, or is looked at again
    source = behind(rows)
    protection = gate.thresholds.protection
    if protection.noise is not None and source.units:
        steps = noise.stages_of(name, collector, source, gate.thresholds, protection.noise)
        gate.drafts.append(Draft(name, exp.Select(), len(collector.keys), len(released), is_guarded=True, noisy=steps))
        return staged
    is_guarded = bool(source.units or source.absent)
    plan = thresholds.plan_of(
        collector, units=is_guarded, sides=len(source.sides), rounding=protection.rounding,
        filled=partial(is_filled, scope.instances), same=source.same, counted_as=rows.joins.counted_as,
    )  # fmt: skip
    if len(plan.spare) > thresholds.SPARE_MAX:
        gate.findings.add(STATEMENT_TOO_LARGE, limit=thresholds.SPARE_MAX)
        return staged
    query = stage_sql.build(collector, plan, source, gate.thresholds)
    parts = partial(stage_sql.parts_of_units, plan, source)
    tabled = partial(stage_sql.tabled, name, collector, plan, source, gate.thresholds)
    gate.drafts.append(
        Draft(name, query, len(collector.keys), len(released), is_guarded=is_guarded, parts=parts, tabled=tabled)
    )
    return staged


def behind(rows: Rows) -> Behind:
    """Return what writes the rows behind a stage, with their units."""
    scope, protection = rows.scope, rows.scope.gate.thresholds.protection
    units = lambda source: len(source.kinds)  # noqa: E731
    is_noisy = protection.noise is not None
    linked = tuple(unit for link in scope.links for unit in link.units)
    return Behind(
        write_from(scope, rows.joins, None), rows.condition, (*_each(scope, _unit, units), *linked),
        () if is_noisy else _each(scope, _origin, lambda source: source.sides),
        orders=() if protection.bounds is None else _each(scope, _order, units),
        bounds=protection.bounds, needs_units=is_noisy, many=_many(scope), same=frozenset(rows.joins.same),
        always=_always(scope), absent=tuple(scope.absences),
        most=links_most(scope.gate.thresholds),
    )  # fmt: skip


def _many(scope: Scope) -> frozenset[int]:
    kinds = [kind for i in scope.instances for kind in i.source.kinds]
    kinds += [kind for link in scope.links for kind in link.kinds]
    return frozenset(i for i, kind in enumerate(kinds) if kind.startswith(MANY))


def _always(scope: Scope) -> frozenset[int]:
    places = [(i, position) for i in scope.instances for position in range(len(i.source.kinds))]
    return frozenset(n for n, (i, position) in enumerate(places) if has_unit(i, position))


def _check_protection(rows: Rows, collector: Collector) -> None:
    """Refuse what could not be rounded or measured soundly, where rows of units stand behind a stage."""
    scope = rows.scope
    findings, protection = scope.gate.findings, scope.gate.thresholds.protection
    count = sum(len(instance.source.kinds) for instance in scope.instances)
    carried = len(_many(scope)) + len(scope.absences) + len(scope.links)
    if carried and (protection.bounds is not None or protection.noise is not None):
        findings.add(LINK_BOUNDED, construct="EXISTS / IN")  # whose rows a bound would keep cannot be said of a list
    if not count:
        return
    for wanted in collector.wanted if protection.rounding is not None else ():
        rounding.check(findings, wanted)
    if protection.noise is None:
        return
    for wanted in collector.wanted:
        noise.check(findings, wanted)
    count -= len(rows.joins.same)  # relations that are joined by their units speak of one unit in every row
    if count > 1:
        findings.add(NOISE_UNIT, count=count)
    if any(i.source.is_row_level and not i.source.is_row_wise for i in scope.instances):
        findings.add(NOISE_ROWS, place="FROM")


def _each(
    scope: Scope, write: Callable[[Instance, int], exp.Expression], count: Callable[[Source], int]
) -> tuple[Callable[[], exp.Expression], ...]:
    return tuple(partial(write, i, position) for i in scope.instances for position in range(count(i.source)))


def over_stage(
    collector: Collector, staged: tuple[Staged, ...], items: tuple[tuple[str, Term], ...], shown: Shown
) -> Selected:
    """Return what a SELECT shows of the groups of its stage."""

    def write(select: exp.Select) -> None:
        written = united(collector, staged) if collector.sets else staged[0].emit()
        written.set("alias", exp.TableAlias(this=quoted(collector.alias)))
        select.set("from_", exp.From(this=written))

    return Selected(
        items, (), shown, write, is_row_level=False, is_single_row=not collector.sets and staged[0].is_single_row
    )
