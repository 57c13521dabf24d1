"""Queries for Spark: SELECT, WITH, joins and set operations, with the kinds of their columns carried from scope to scope."""

from dataclasses import dataclass, field

from sqlglot import exp

from gongshu.compute.rules.spark import aggregates
from gongshu.compute.rules.spark.expressions import CONTROL, Scope, only, write
from gongshu.compute.rules.spark.kinds import Columns, UnwritableError, column, paren, widest
from gongshu.compute.rules.terms import conjunction, quoted

PARTS = (
    "expressions", "from_", "joins", "where", "group", "having", "qualify", "order", "limit", "offset", "distinct",
    "with_",
)  # fmt: skip
SETS = (exp.Union, exp.Except, exp.Intersect)
LISTED, KEPT, ORDERED = "listed:", "kept:", "ordered:"
"""Columns of a query below: what a query gives for each row, whether it stays, and what it is ordered by."""


@dataclass
class QueryWriter:
    """Writes the queries of one statement. ``tables``: what can stand in a FROM, with its columns.

    CTEs get names of their own (``ctes``: from the given name to the written one): in Spark's dialect they are all written
    at the top of the statement, where two of one name could not stand.
    """

    tables: dict[str, Columns]
    copied: list[int] = field(default_factory=lambda: [0])
    outer: Scope | None = None
    ctes: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)  # one for the whole statement

    def query(self, node: exp.Expression) -> tuple[exp.Expression, Columns]:
        """Write a query and return its columns."""
        if isinstance(node, exp.Subquery):
            only(node, "this")
            return self.query(node.this)
        inner = self._inside(self.outer)
        ctes = inner.read_with(node)
        if isinstance(node, exp.Select):
            made, columns = inner.select(node)
        elif isinstance(node, SETS):
            made, columns = inner.united(node)
        else:
            raise UnwritableError(type(node).__name__.upper())
        if ctes:
            made.set("with_", exp.With(expressions=ctes))
        return made, columns

    def subquery(self, node: exp.Expression, outer: Scope | None = None) -> tuple[exp.Expression, Columns]:
        """Write a query in parentheses; its conditions may name columns of ``outer``."""
        made, columns = self._inside(outer or self.outer).query(node)
        return exp.Subquery(this=made), columns

    def _inside(self, outer: Scope | None) -> "QueryWriter":
        return QueryWriter(dict(self.tables), self.copied, outer, dict(self.ctes), self.taken)

    def read_with(self, node: exp.Expression) -> list[exp.Expression]:
        """Write the CTEs of a query; each can be named by those after it."""
        given = node.args.get("with_")
        made: list[exp.Expression] = []
        for cte in given.expressions if given is not None else []:
            name = cte.args["alias"].this.name
            query, columns = self.query(cte.this)
            written = name if name not in self.taken else f"{name}{len(self.taken)}"
            self.taken.add(written)
            made.append(exp.CTE(this=query, alias=exp.TableAlias(this=quoted(written))))
            self.tables[name], self.ctes[name] = columns, written
        return made

    def select(self, node: exp.Expression) -> tuple[exp.Expression, Columns]:
        """Write a SELECT."""
        only(node, *PARTS)
        node = _beneath(node)
        scope = Scope(self, {}, self.copied, self.outer)
        made = exp.Select()
        if node.args.get("from_") is not None:
            made.set("from_", exp.From(this=self._source(scope, node.args["from_"].this)))
        joins = [self._join(scope, join) for join in node.args.get("joins") or []]
        made.set("joins", joins or None)
        columns: Columns = {}
        items: list[exp.Expression] = []
        for part in node.expressions:
            if isinstance(part, exp.Star):
                items += self._star(scope, part, columns)
                continue
            inner = part.this if isinstance(part, exp.Alias) else part
            written, name = write(scope, inner), part.alias_or_name
            if CONTROL.search(name):
                raise UnwritableError("AS (name with a control character)")
            columns[name] = written.kind
            items.append(exp.Alias(this=written.node, alias=quoted(name)))
        made.set("expressions", items)
        for key, kind in (("where", exp.Where), ("having", exp.Having)):
            if node.args.get(key) is not None:
                made.set(key, kind(this=write(scope, node.args[key].this).node))
        group = node.args.get("group")
        if group is not None:
            only(group, "expressions")
            made.set("group", exp.Group(expressions=[write(scope, key).node for key in group.expressions]))
        shown = Scope(self, {**scope.sources, "": columns}, self.copied, self.outer)
        tests = _qualified(scope, node)
        if not tests:
            self._finish(made, node, shown)
            return made, columns
        return self._kept(made, node, shown, tests), columns

    def _kept(self, inner: exp.Select, node: exp.Expression, scope: Scope, tests: list[exp.Expression]) -> exp.Select:
        """Write QUALIFY, which Spark lacks: the test is a column of the rows below, and order and limit stand above."""
        made = exp.Select(expressions=[column(item.alias) for item in inner.expressions])
        self._finish(made, node, scope)
        order = made.args.get("order")
        if order is not None and made.args.get("distinct") is not None:
            raise UnwritableError("DISTINCT … QUALIFY … ORDER BY")
        extra = [exp.Alias(this=conjunction([paren(test) for test in tests]), alias=quoted(KEPT))]
        for i, item in enumerate(order.expressions if order is not None else []):
            extra.append(exp.Alias(this=item.this.copy(), alias=quoted(f"{ORDERED}{i}")))
            item.set("this", column(f"{ORDERED}{i}"))
        inner.set("expressions", [*inner.expressions, *extra])
        made.set("from_", exp.From(this=exp.Subquery(this=inner, alias=exp.TableAlias(this=quoted(KEPT)))))
        made.set("where", exp.Where(this=column(KEPT)))
        return made

    def _star(self, scope: Scope, node: exp.Expression, columns: Columns) -> list[exp.Expression]:
        only(node, "replace")
        others = {part.alias: write(scope, part.this) for part in node.args.get("replace") or []}
        items: list[exp.Expression] = []
        for name, kind in [item for source in scope.sources.values() for item in source.items()]:
            columns[name] = others[name].kind if name in others else kind
            items.append(exp.Alias(this=others[name].node if name in others else column(name), alias=quoted(name)))
        return items

    def united(self, node: exp.Expression) -> tuple[exp.Expression, Columns]:
        """Write a UNION, INTERSECT or EXCEPT."""
        only(node, "this", "expression", "distinct", "with_", "order", "limit", "offset")
        sides = [self.query(side) for side in (node.this, node.expression)]
        kinds = zip(*(columns.values() for _, columns in sides), strict=True)
        columns = dict(zip(sides[0][1], (widest(pair) for pair in kinds), strict=True))
        # Parentheses: Spark lets INTERSECT bind closer than UNION and EXCEPT.
        written = [side if isinstance(side, exp.Select) else exp.Subquery(this=side) for side, _ in sides]
        made = type(node)(this=written[0], expression=written[1], distinct=bool(node.args.get("distinct")))
        self._finish(made, node, Scope(self, {"": columns}, self.copied))
        return made, columns

    def _finish(self, made: exp.Expression, node: exp.Expression, scope: Scope) -> None:
        if node.args.get("distinct") and isinstance(node, exp.Select):
            only(node.args["distinct"], "on")
            if node.args["distinct"].args.get("on") is None:
                made.set("distinct", exp.Distinct())
        order = node.args.get("order")
        if order is not None:
            made.set("order", exp.Order(expressions=[aggregates.ordered(scope, item) for item in order.expressions]))
        for key, kind in (("limit", exp.Limit), ("offset", exp.Offset)):
            if node.args.get(key) is not None:
                made.set(key, kind(expression=exp.Literal.number(str(node.args[key].expression.this))))

    def _source(self, scope: Scope, node: exp.Expression) -> exp.Expression:
        alias = node.args.get("alias")
        name = alias.this.name if alias is not None else ""
        if isinstance(node, exp.Table):
            only(node, "this", "alias")
            if node.name not in self.tables:
                raise UnwritableError(f"FROM {node.name}")
            scope.sources[name or node.name] = self.tables[node.name]
            written = self.ctes.get(node.name, node.name)
            made: exp.Expression = exp.Table(this=quoted(written))
            name = name or (node.name if written != node.name else "")
        elif isinstance(node, exp.Subquery):
            only(node, "this", "alias")
            made, columns = self.subquery(node.this)
            scope.sources[name] = columns
        else:
            raise UnwritableError(f"FROM {type(node).__name__.upper()}")
        if name:
            made.set("alias", exp.TableAlias(this=quoted(name)))
        return made

    def _join(self, scope: Scope, node: exp.Expression) -> exp.Expression:
        only(node, "this", "on", "side", "kind")
        made = exp.Join(this=self._source(scope, node.this), side=node.args.get("side"), kind=node.args.get("kind"))
        if node.args.get("on") is not None:
            made.set("on", write(scope, node.args["on"]).node)
        elif str(node.args.get("kind") or "").upper() != "CROSS":
            made.set("kind", "CROSS")
        return made


def _qualified(scope: Scope, node: exp.Expression) -> list[exp.Expression]:
    """Write what is asked of rows once windows are there: QUALIFY, and of DISTINCT ON to be the first of those with its keys."""
    tests = [write(scope, node.args["qualify"].this).node] if node.args.get("qualify") is not None else []
    on = node.args["distinct"].args.get("on") if node.args.get("distinct") else None
    if on is None:
        return tests
    if tests or node.args.get("order") is None:
        raise UnwritableError("DISTINCT ON")
    place = exp.Window(
        this=exp.RowNumber(),
        partition_by=[write(scope, key).node for key in on.expressions],
        order=exp.Order(expressions=[aggregates.ordered(scope, item) for item in node.args["order"].expressions]),
        over="OVER",
    )
    return [exp.EQ(this=place, expression=exp.Literal.number(1))]


def _beneath(node: exp.Expression) -> exp.Expression:
    """Return a SELECT whose lists are of columns: Spark cannot run a query in an aggregate, so it is run for each row below.

    ``SELECT list((SELECT …)) FROM t WHERE c`` becomes ``SELECT list(x) FROM (SELECT (SELECT …) AS x FROM t WHERE c)``.
    """
    own = [part for item in node.expressions for part in item.walk(prune=lambda part: isinstance(part, exp.Query))]
    queries = [part.this for part in own if isinstance(part, exp.ArrayAgg) and isinstance(part.this, exp.Subquery)]
    if not queries:
        return node
    items = [exp.Alias(this=query.copy(), alias=quoted(f"{LISTED}{i}")) for i, query in enumerate(queries)]
    for i, query in enumerate(queries):
        query.replace(column(f"{LISTED}{i}", LISTED))
    others = {part.table for item in node.expressions for part in item.find_all(exp.Column)} - {LISTED}
    if others or any(node.args.get(part) for part in PARTS if part not in {"expressions", "from_", "joins", "where"}):
        raise UnwritableError("EXISTS (… EXISTS (…))")
    inner = exp.Select(expressions=items, **{part: node.args.get(part) for part in ("from_", "joins", "where")})
    source = exp.Subquery(this=inner, alias=exp.TableAlias(this=quoted(LISTED)))
    return exp.Select(expressions=node.expressions, from_=exp.From(this=source))
