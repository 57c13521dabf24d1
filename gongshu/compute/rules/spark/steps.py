"""Stages of a stage: what is made of earlier stages alone and is read more than once is made once, in a table of its own.

Spark writes a CTE out wherever it is read. Where two guarded stages are compared (``differences``) one stands on the other
six deep, and the plan grows to a hundred thousand characters: planning took longer than everything else.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from sqlglot import exp

from gongshu.compute.rules.terms import quoted

STEP = "step:"
Step = tuple[str, exp.Expression]


def steps(name: str, tree: exp.Expression, stages: Iterable[str]) -> list[Step]:
    """Return the queries that make the stage ``name``, in order, the last under its own name. ``stages`` stand already."""
    given = tree.args.get("with_")
    ctes = {cte.alias: cte.this for cte in given.expressions} if given is not None else {}
    read = Counter(table.name for table in tree.find_all(exp.Table))
    standing = set(stages)
    for alias, query in ctes.items():
        if all(source in standing for source in _sources(query)):
            standing.add(alias)
    chosen = [alias for alias in ctes if alias in standing and read[alias] > 1]
    if not chosen:
        return [(name, tree)]
    names = {alias: f"{STEP}{name}:{alias}" for alias in chosen}
    made = [(names[alias], _with(ctes[alias].copy(), ctes, names)) for alias in chosen]
    tree.set("with_", None)
    return [*made, (name, _with(tree, ctes, names))]


def _sources(query: exp.Expression) -> Iterator[str]:
    for table in query.find_all(exp.Table):
        yield table.name


def _with(query: exp.Expression, ctes: dict[str, exp.Expression], names: dict[str, str]) -> exp.Expression:
    """Put the CTEs that ``query`` needs before it, and let it read the others where they stand now."""
    needed: dict[str, None] = {}
    rest = list(_sources(query))
    while rest:
        source = rest.pop()
        if source in ctes and source not in names and source not in needed:
            needed[source] = None
            rest += _sources(ctes[source])
    before = [
        exp.CTE(this=ctes[alias].copy(), alias=exp.TableAlias(this=quoted(alias))) for alias in ctes if alias in needed
    ]
    if before:
        query.set("with_", exp.With(expressions=before))
    for table in query.find_all(exp.Table):
        if table.name in names:
            if table.args.get("alias") is None:
                table.set("alias", exp.TableAlias(this=quoted(table.name)))
            table.set("this", quoted(names[table.name]))
    return query
