"""Every statement that these tests see the gate accept, with what it speaks of: another engine has to answer it alike."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from gongshu.base.decisions import Decision
from gongshu.base.ids import EntitlementId, PersonId
from gongshu.compute.rules import decide_query
from gongshu.compute.rules.parameters import read_parameters
from gongshu.compute.types import DerivedRelation, GovernedQuery, Relation
from gongshu.policies.types import Thresholds
from tests.escape import city
from tests.escape.ordinary import ORDINARY
from tests.governed import RELATIONS, THRESHOLDS
from tests.tpch.queries import QUESTIONS
from tests.tpch.report import uses_of
from tests.tpch.tables import read_uses
from tests.tpch.tables import relations as tpch_relations

TABLES = sorted((Path(__file__).parent / "rules").glob("test_*.py"))
"""Readable tables of the gate: those that have a list ``ACCEPTED``."""
FEW = Thresholds(units_min=3, dominance_p_percent=10, dominance_top_n=2, dominance_top_percent=90)
"""For data so small that the usual thresholds would leave nothing to compare."""
DERIVED = {
    "adults": "SELECT join_compare_text, group_text AS kind, total_int AS income FROM people WHERE filter_int >= 18",
    "kinds": "SELECT kind, sum(income) AS total, count(*) AS n FROM adults GROUP BY kind",
}
OVER_DERIVED = (
    "SELECT kind, sum(income) AS s FROM adults GROUP BY kind",
    "SELECT sum(income) AS s FROM adults JOIN visits USING (join_compare_text)",
    "SELECT kind, total FROM kinds WHERE n > 20 ORDER BY kind",
    "SELECT avg(total) AS a, (SELECT sum(income) FROM adults) AS s FROM kinds",
)


@dataclass(frozen=True)
class Accepted:
    """A statement, where it stands, and what the gate needs to decide it. ``data``: which rows it is asked of."""

    table: str
    number: int
    sql: str
    relations: tuple[Relation, ...]
    data: str
    thresholds: Thresholds = THRESHOLDS
    parameters: tuple[str, ...] = ()
    derived: tuple[DerivedRelation, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        return f"{self.table}-{self.number}"

    def decide(self, thresholds: Thresholds | None = None) -> Decision[GovernedQuery]:
        given = read_parameters(self.parameters).value_or_raise()
        return decide_query(self.relations, thresholds or self.thresholds, self.sql, self.derived, given)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of_tables() -> Iterator[Accepted]:
    """Give the statements of the gate's tables, wherever one is, over every relation that the table knows."""
    for path in TABLES:
        if "\nACCEPTED = [" not in path.read_text("utf-8"):
            continue
        module = load(path)
        named = [value if isinstance(value, tuple) else (value,) for value in (RELATIONS, *vars(module).values())]
        relations = tuple({r.name: r for values in named for r in values if isinstance(r, Relation)}.values())
        for number, case in enumerate(module.ACCEPTED):
            sql, texts = (case, ()) if isinstance(case, str) else (case[0], case[-1])
            parameters = texts if isinstance(texts, tuple) else ()
            yield Accepted(path.stem, number, sql, relations, path.stem, parameters=parameters)


def of_derived() -> Iterator[Accepted]:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    derived = tuple(
        DerivedRelation(f"d-{name}", EntitlementId("e"), name, sql, PersonId("p"), now) for name, sql in DERIVED.items()
    )
    for number, sql in enumerate(OVER_DERIVED):
        yield Accepted("derived", number, sql, RELATIONS, "derived", derived=derived)


def of_city() -> Iterator[Accepted]:
    for number, sql in enumerate(ORDINARY):
        yield Accepted("ordinary", number, sql, city.RELATIONS, "city")


def of_tpch() -> Iterator[Accepted]:
    for question in QUESTIONS:
        relations = tpch_relations(read_uses(uses_of(question)))
        yield Accepted("tpch", question.number, question.sql, relations, "tpch", FEW)


def statements() -> tuple[Accepted, ...]:
    return (*of_tables(), *of_derived(), *of_city(), *of_tpch())
