"""FROM and JOIN: relations are linked by equalities of keys that have ``join``, and by nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlglot import exp

from gongshu.compute.rules.conditions import compare, is_key, key_pair, quiet, read_where
from gongshu.compute.rules.expressions import bind
from gongshu.compute.rules.refusals import (
    COLUMN_UNKNOWN,
    CONSTRUCT_REFUSED,
    IDENTIFIER_AMBIGUOUS,
    JOIN_BY_PLACE,
    JOIN_WITHOUT_KEY,
    LINK_MISPLACED,
)
from gongshu.compute.rules.scopes import Correlated, Instance, Scope, Source, Staged, fold
from gongshu.compute.rules.terms import Form, Mark, Term, all_of, as_condition
from gongshu.policies.service import combine

KINDS = frozenset({"", "INNER", "OUTER", "CROSS"})
HALVES = frozenset({"SEMI", "ANTI"})
Halved = Callable[[Scope, Term | None, tuple[Correlated, ...], bool], Term | None]
LINKED_ROWS: list[Halved] = []
"""What makes a SEMI or ANTI JOIN of what was read of it; ``links`` puts it here."""
Lateral = Callable[[Scope, exp.Expression, str], tuple[Instance, str, tuple[Term, ...]] | None]
LATERALS: list[Lateral] = []
"""What reads the subquery of a LATERAL; ``correlated`` puts it here."""


@dataclass
class Joins:
    """How the instances of a scope are joined, in order; the first one has no join."""

    steps: list[tuple[str, Term | None]] = field(default_factory=list)  # side or CROSS, and the condition
    equalities: list[tuple[Term, Term]] = field(default_factory=list)
    linked: list[Term] = field(default_factory=list)  # SEMI and ANTI JOIN: conditions on the rows so far
    same: dict[int, int] = field(default_factory=dict)  # units that are in every row another one, or missing
    equal: set[int] = field(default_factory=set)  # of these, those that are the other one in every row
    classes: dict[Mark, Mark] = field(default_factory=dict)  # columns that are equal in every row: of each, another one
    units: dict[Mark, int] = field(default_factory=dict)  # of a class (by its last column), the unit that it is

    @property
    def conditions(self) -> tuple[Term, ...]:
        """Every ON, USING and NATURAL condition."""
        return tuple(term for _, term in self.steps if term is not None)

    def check_links(self, scope: Scope, node: exp.Expression) -> None:
        """Refuse a relation that no key links to the others. A single released row may stand beside anything."""
        where = node.args.get("where")
        if where is not None:
            start = len(self.equalities)
            self.note(scope, where.this)
            self.cover(scope, "", start)
        bound = [i for i in scope.instances if not (isinstance(i.source, Staged) or not i.source.is_row_level)]
        if not bound or len(scope.instances) < 2:
            return
        linked = {scope.instances[0].alias if scope.instances[0] in bound else bound[0].alias}
        pairs = [{a.source[1], b.source[1]} for a, b in self.equalities]
        outside = {i.alias for i in scope.outer.instances} if scope.outer is not None else set[str]()
        linked |= outside if any(pair & outside for pair in pairs) else set()
        growing = True
        while growing:
            fresh = set().union(*(p for p in pairs if p & linked)) - linked
            linked |= fresh
            growing = bool(fresh)
        for instance in scope.instances:
            is_free = not instance.source.is_row_level and instance.source.is_single_row
            if instance.alias not in linked and not is_free:
                scope.gate.findings.add(JOIN_WITHOUT_KEY, relation=instance.name or "—")

    def note(self, scope: Scope, node: exp.Expression) -> None:
        """Remember the key equalities among the AND-connected atoms of a condition."""
        rest = [node]
        while rest:
            part = rest.pop()
            if isinstance(part, exp.Paren):
                rest.append(part.this)
            elif isinstance(part, exp.And):
                rest += [part.this, part.expression]
            elif (
                isinstance(part, exp.EQ)
                and isinstance(part.this, exp.Column)
                and isinstance(part.expression, exp.Column)
            ):
                self.add(bind(quiet(scope), part.this), bind(quiet(scope), part.expression))

    def cover(self, scope: Scope, side: str, start: int) -> None:
        """Note which units are the same by the equalities since ``start``; ``side`` is what may be missing of the last step.

        A row tells of such a unit nothing that it does not tell of the other: thresholds count it once.
        """
        here = {("instance", instance.alias) for instance in scope.instances}
        last = ("instance", scope.instances[-1].alias) if scope.instances else ()
        for one, other in self.equalities[start:]:
            if side == "FULL" or not {one.source, other.source} <= here:
                continue
            if not side:
                self._join_classes(one, other)
                continue
            if one.unit is None or other.unit is None:
                continue
            early, late = (other, one) if one.source == last else (one, other)
            if last not in {one.source, other.source}:
                continue
            ends = (late.unit, early.unit) if side == "RIGHT" else (early.unit, late.unit)
            covering, covered = (unit if unit is not None else -1 for unit in ends)
            self._cover(covering, covered)

    def _join_classes(self, one: Term, other: Term) -> None:
        """Note that two columns are equal in every row, and with them the units to which each is known to be equal."""
        ends = [self._class_of(one.mark), self._class_of(other.mark)]
        known = [self.units.get(end, term.unit) for end, term in zip(ends, (one, other), strict=True)]
        if ends[0] != ends[1]:
            self.classes[ends[1]] = ends[0]
        found = sorted({unit for unit in (*known, one.unit, other.unit) if unit is not None})
        if found:
            self.units[ends[0]] = found[0]
        for unit in found[1:]:
            if self._cover(found[0], unit):
                self.equal.add(unit)

    def _class_of(self, mark: Mark) -> Mark:
        while mark in self.classes:
            mark = self.classes[mark]
        return mark

    def _cover(self, covering: int, covered: int) -> bool:
        is_fresh = covered not in self.same and self._root(covering) != covered
        if is_fresh:
            self.same[covered] = covering
        return is_fresh

    def _root(self, unit: int) -> int:
        while unit in self.same:
            unit = self.same[unit]
        return unit

    def counted_as(self, unit: int) -> int:
        """Return the unit that is this one in every row, and that thresholds count; this one, where there is none."""
        given = unit
        while unit in self.equal:
            unit = self.same[unit]
        return given if unit in self.same else unit

    def add(self, left: Term, right: Term) -> None:
        """Remember an equality of two keys, if that is what it is."""
        if is_key(left) and is_key(right) and left.source != right.source:
            self.equalities.append((left, right))


def read_from(
    scope: Scope, node: exp.Expression, query: Callable[[exp.Expression], Source], table: Callable[[str], Source]
) -> Joins:
    """Put the relations of FROM and JOIN into ``scope`` and return how they are joined."""
    joins = Joins()
    from_ = node.args.get("from_")
    if from_ is None:
        return joins
    scope.gate.only(from_, "this")
    _relation(scope, from_.this, query, table)
    joins.steps.append(("", None))
    for join in node.args.get("joins") or []:
        _join(scope, joins, join, query, table)
    return joins


def _relation(
    scope: Scope, node: exp.Expression, query: Callable[[exp.Expression], Source], table: Callable[[str], Source]
) -> Instance:
    findings = scope.gate.findings
    alias = node.args.get("alias")
    if alias is not None:
        scope.gate.only(alias, "this")
    name = alias.this.name if alias is not None and alias.this is not None else ""
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        scope.gate.only(node, "this", "alias")
        return scope.add(table(node.this.name), name or node.this.name)
    if isinstance(node, exp.Subquery):
        scope.gate.only(node, "this", "alias")
        return scope.add(query(node.this), name)
    inner = node.this if isinstance(node, exp.Table) else node
    construct = f"FROM {inner.name or type(inner).__name__}()" if isinstance(inner, exp.Func | exp.Anonymous) else ""
    findings.add(CONSTRUCT_REFUSED, construct=(construct or f"FROM {type(inner).__name__.upper()}")[:60])
    return scope.add(Staged("refused", (), is_single_row=True), name)


def _join(
    scope: Scope, joins: Joins, node: exp.Expression, query: Callable[[exp.Expression], Source],
    table: Callable[[str], Source],
) -> None:  # fmt: skip
    gate = scope.gate
    gate.only(node, "this", "on", "using", "side", "kind", "method")
    side, kind = str(node.args.get("side") or "").upper(), str(node.args.get("kind") or "").upper()
    method = str(node.args.get("method") or "").upper()
    if method in {"ASOF", "POSITIONAL"}:
        gate.findings.add(JOIN_BY_PLACE, construct=f"{method} JOIN")
    elif kind not in {*KINDS, *HALVES} or side not in {"", "LEFT", "RIGHT", "FULL"} or method not in {"", "NATURAL"}:
        gate.findings.add(CONSTRUCT_REFUSED, construct=" ".join(w for w in (method, side, kind, "JOIN") if w))
    if kind in HALVES:
        _half(scope, joins, node, query, table)
        return
    if side in {"RIGHT", "FULL"} and (joins.linked or scope.absences or scope.links):
        gate.findings.add(LINK_MISPLACED, place=f"{side} JOIN", column="SEMI / ANTI JOIN")
    before = list(scope.instances)
    if isinstance(node.this, exp.Lateral):
        _lateral(scope, joins, node, side)
        return
    instance = _relation(scope, node.this, query, table)
    instance.is_optional = side in {"LEFT", "FULL"}
    if side in {"RIGHT", "FULL"}:
        for other in before:
            other.is_optional = True
    for other in (*before, instance) if side == "FULL" else ():
        other.is_full = True
    using, start = _using_names(node, before, instance), len(joins.equalities)
    terms = [_using(scope, joins, before, instance, name, side) for name in using]
    on = node.args.get("on")
    if on is not None:
        terms.append(_on(scope, joins, on))
    if not terms:
        joins.steps.append(("CROSS", None))
        return
    joins.steps.append((side, all_of(terms)))
    joins.cover(scope, side, start)


def _lateral(scope: Scope, joins: Joins, node: exp.Expression, side: str) -> None:
    gate, lateral = scope.gate, node.this
    gate.only(lateral, "this", "alias", "view", "outer")
    gate.only(lateral.args["alias"], "this")
    scope.joins, start = joins, len(joins.equalities)
    found = LATERALS[0](scope, lateral, lateral.args["alias"].this.name)
    if found is None or side not in {"", "LEFT"} or node.args.get("using") or node.args.get("method"):
        gate.findings.add(CONSTRUCT_REFUSED, construct=f"{side} JOIN LATERAL".strip())
        joins.steps += [("CROSS", None)] * (len(scope.instances) - len(joins.steps))
        return
    instance, own, terms = found
    instance.is_optional = "LEFT" in {side, own}
    on = node.args.get("on")
    tests = list(terms)
    if on is not None and not (isinstance(on, exp.Boolean) and on.this):
        if own:
            gate.findings.add(CONSTRUCT_REFUSED, construct="JOIN LATERAL (aggregate) ON")
        tests.append(_on(scope, joins, on))
    joins.steps.append((side or own, all_of(tests)) if tests else ("CROSS", None))
    joins.cover(scope, side or own, start)


def _on(scope: Scope, joins: Joins, on: exp.Expression) -> Term:
    place, scope.place = scope.place, "ON"
    term = as_condition(scope.gate.findings, bind(scope, on), "ON")
    scope.place = place
    joins.note(scope, on)
    return term


def _using_names(node: exp.Expression, before: list[Instance], instance: Instance) -> list[str]:
    names = [part.name for part in node.args.get("using") or []]
    if str(node.args.get("method") or "").upper() == "NATURAL":
        mine = {fold(n) for n, _ in instance.source.columns}
        named = [n for other in before for i, (n, _) in enumerate(other.source.columns) if i not in other.unnamed]
        names = [n for n in named if fold(n) in mine]
    return list(dict.fromkeys(names))


def _half(
    scope: Scope, joins: Joins, node: exp.Expression, query: Callable[[exp.Expression], Source],
    table: Callable[[str], Source],
) -> None:  # fmt: skip
    """SEMI and ANTI JOIN: EXISTS and NOT EXISTS of the rows so far, with the names of both sides beside each other."""
    inside = Scope(scope.gate, scope.tables, outer=scope, is_beside=True, place="ON")
    inside.joins = Joins([("", None)])
    instance = _relation(inside, node.this, query, table)
    found: list[Correlated] = []
    for name in _using_names(node, scope.instances, instance):
        pair = _pair(scope, scope.instances, instance, name)
        if pair is not None:
            inside.reached.append(pair[0].term(pair[1]))
            first, second = pair[0].shown(pair[1]), instance.term(pair[2])
            found.append(Correlated(compare(scope, exp.EQ, first, second), key_pair(inside, first, second)))
    own: Term | None = None
    if node.args.get("on") is not None:
        own, correlated = read_where(inside, node.args["on"])
        found += correlated
    test = LINKED_ROWS[0](inside, own, tuple(found), str(node.args["kind"]).upper() == "ANTI")
    joins.linked += [test] if test is not None else []


def _pair(scope: Scope, before: list[Instance], instance: Instance, name: str) -> tuple[Instance, int, int] | None:
    def found(among: list[Instance]) -> list[tuple[Instance, int]]:
        return [
            (i, index)
            for i in among
            for index, (other, _) in enumerate(i.source.columns)
            if fold(other) == fold(name) and index not in i.merged | i.unnamed
        ]

    left, right = found(before), found([instance])
    if len(left) != 1 or len(right) != 1:
        rule = COLUMN_UNKNOWN if not left or not right else IDENTIFIER_AMBIGUOUS
        facts = {"column": name, "known": scope.known()} if rule is COLUMN_UNKNOWN else {"name": name}
        scope.gate.findings.add(rule, **facts)
        return None
    return (*left[0], right[0][1])


def _using(scope: Scope, joins: Joins, before: list[Instance], instance: Instance, name: str, side: str) -> Term:  # noqa: PLR0917
    pair = _pair(scope, before, instance, name)
    if pair is None:
        return Term(None, ("refused",), lambda _: exp.Boolean(this=True), is_constant=True)
    left, i, j = pair
    instance.merged.add(j)
    first, second = left.shown(i), instance.term(j)
    joins.add(first, second)
    if side == "RIGHT":
        left.replaced[i] = second
    elif side == "FULL":
        left.replaced[i] = _either(first, second)
    return compare(scope, exp.EQ, first, second)


def _either(first: Term, second: Term) -> Term:
    """Return the merged key of a FULL JOIN: of whichever side is there."""

    def emit(form: Form) -> exp.Expression:
        return exp.Coalesce(this=first.emit(form), expressions=[second.emit(form)])

    return replace(
        first, mark=("merged", first.mark, second.mark), emit=emit, uses=combine((first.uses, second.uses)),
        bases=first.bases | second.bases, hidden=first.hidden | second.hidden, direct=first.direct | second.direct,
        indirect=first.indirect | second.indirect, loose=first.loose | second.loose, spent=first.spent + second.spent,
        keyed_as=first.keyed_as if first.keyed_as is second.keyed_as else None, unit=None,
        source=("merged", first.source[1] if first.source else ""),
    )  # fmt: skip


def write_from(scope: Scope, joins: Joins, condition: Term | None) -> Callable[[exp.Select], None]:
    """Return what writes FROM, JOIN and WHERE into a SELECT whose items have made their demands."""

    def write(select: exp.Select) -> None:
        conditions = [t.emit(Form.VALUE) if t is not None else None for _, t in joins.steps]
        if condition is not None:
            select.set("where", exp.Where(this=condition.emit(Form.VALUE)))
        if not scope.instances:
            return
        written = [instance.emit() for instance in scope.instances]
        select.set("from_", exp.From(this=written[0]))
        made = []
        for relation, (side, _), on in zip(written[1:], joins.steps[1:], conditions[1:], strict=True):
            if on is None:
                made.append(exp.Join(this=relation, kind="CROSS"))
            else:
                made.append(exp.Join(this=relation, side=side or None, kind="" if side else "INNER", on=on))
        select.set("joins", made or None)

    return write
