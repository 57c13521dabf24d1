"""Every statement that the gate's tables accept: Spark's answer is DuckDB's, withheld groups and counts included."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from gongshu.base.decisions import Permitted
from gongshu.compute.rules import decide_query
from gongshu.compute.rules.spark import decide_spark
from gongshu.compute.types import Relation
from tests.compared import Comparison
from tests.governed import RELATIONS, THRESHOLDS, open_engine

TABLES = sorted((Path(__file__).parents[1] / "rules").glob("test_*.py"))
UNWRITABLE = frozenset({
    "EXISTS (… EXISTS (…))", "DISTINCT … on", "ORDER", "MODE", "FIRST", "ARGMAX", "GROUPCONCAT", "ANONYMOUS", "HISTOGRAM",
})  # fmt: skip
"""Constructs of accepted statements that have no form in Spark: they are refused there by name."""
SHARE = 40
"""One statement in so many also runs in ``make test``."""


def statements() -> Iterator[tuple[str, str, tuple[Relation, ...]]]:
    """Give every accepted statement of the gate's tables, wherever one is, with the relations it speaks of."""
    for path in TABLES:
        if "\nACCEPTED = [" not in path.read_text("utf-8"):
            continue
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        table = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(table)
        named = [value if isinstance(value, tuple) else (value,) for value in (RELATIONS, *vars(table).values())]
        relations = tuple({r.name: r for values in named for r in values if isinstance(r, Relation)}.values())
        for case in table.ACCEPTED:
            sql = case if isinstance(case, str) else case[0]
            if isinstance(
                decide_query(relations, THRESHOLDS, sql), Permitted
            ):  # with parameters it is another statement
                yield path.stem, sql, relations


CASES = [
    pytest.param(sql, relations, id=f"{table}-{number}", marks=() if number % SHARE == 0 else pytest.mark.slow)
    for number, (table, sql, relations) in enumerate(statements())
]


@pytest.mark.parametrize(("sql", "relations"), CASES)
def test_an_accepted_statement_has_the_same_answer(
    comparison: Comparison, sql: str, relations: tuple[Relation, ...]
) -> None:
    decision = decide_query(relations, THRESHOLDS, sql)
    assert isinstance(decision, Permitted), sql
    for reason in decide_spark(decision.value, relations).reasons:
        assert reason.code == "spark-unwritable"
        assert dict(reason.facts)["construct"] in UNWRITABLE
        return
    used = {projection.relation for projection in decision.value.projections}
    with open_engine(relations=tuple(r for r in relations if r.name in used)) as engine:
        comparison.hold(engine, used)
    assert comparison.differences(decision.value, relations) == [], sql
