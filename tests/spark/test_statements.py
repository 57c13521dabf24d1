"""Every statement that the gate's tables accept: Spark's answer is DuckDB's, withheld groups and counts included."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from gongshu.base.decisions import Permitted
from gongshu.compute.adapters.spark import Client
from gongshu.compute.rules.spark import decide_spark
from gongshu.compute.types import GovernedQuery
from gongshu.policies.types import ContributionBounds, Protection, Rounding
from tests.accepted import Accepted, statements
from tests.compared import Comparison
from tests.escape import city
from tests.escape.world import World
from tests.governed import open_engine
from tests.tpch.tables import make_data, projected
from tools.spark_cluster import Cluster

SHARE = 60
"""One statement in so many also runs in ``make test``."""
PROTECTIONS = {
    "bounded": Protection(ContributionBounds(2, 3)),
    "rounded": Protection(ContributionBounds(1), Rounding(5)),
}
PROTECTED_SHARE = 9
"""One statement in so many is also asked under each of these."""
UNITS = 47
TPCH_SCALE = 0.005

STATEMENTS = statements()
Holding = Callable[[Accepted], Comparison]


def is_slow(sql: str, share: int) -> bool:
    return int(hashlib.sha256(sql.encode()).hexdigest(), 16) % share > 0


CASES = [
    pytest.param(case, id=case.name, marks=pytest.mark.slow if is_slow(case.sql, SHARE) else ()) for case in STATEMENTS
]
PROTECTED = [
    pytest.param(case, kind, id=f"{case.name}-{kind}", marks=pytest.mark.slow)
    for kind in PROTECTIONS
    for case in STATEMENTS
    if case.data != "tpch" and not is_slow(kind + case.sql, PROTECTED_SHARE)
]


@pytest.fixture(scope="module")
def tpch_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(TPCH_SCALE, tmp_path_factory.mktemp("tpch"))


@pytest.fixture(scope="module")
def holding(
    cluster: Cluster, client: Client, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Holding]:
    """Hold the rows of each table of statements once, on both engines."""
    held: dict[str, Comparison] = {}

    def hold(case: Accepted) -> Comparison:
        if case.data in held and case.data != "tpch":
            return held[case.data]
        folder = tmp_path_factory.mktemp("held")
        made = held.setdefault(
            case.name if case.data == "tpch" else case.data, Comparison(cluster.remote, client, folder)
        )
        names = [relation.name for relation in case.relations]
        if case.data == "city":
            made.hold(World(folder / "world", city.RELATIONS, city.rows_of).engine, names)
        elif case.data == "tpch":
            hold_tpch(made, case, request.getfixturevalue("tpch_data"))
        else:
            with open_engine(relations=case.relations) as engine:
                made.hold(engine, names)
        return made

    yield hold
    for comparison in held.values():
        comparison.close()


def hold_tpch(made: Comparison, case: Accepted, data: Path) -> None:
    """Hold what a question reads: its projections, for uses of columns differ between questions."""
    relations = {relation.name: relation for relation in case.relations}
    with duckdb.connect() as engine:
        for projection in case.decide().value_or_raise().projections:
            written = projected(relations[projection.relation], projection, data)
            engine.execute(f'CREATE TABLE "{projection.relation}" AS {written}')
            made.hold(engine, [projection.relation])


def differences(comparison: Comparison, case: Accepted, query: GovernedQuery) -> list[str]:
    """Say where the answers differ. What has no form in Spark is refused before anything runs, by name."""
    written = decide_spark(query, case.relations)
    if not isinstance(written, Permitted):
        assert {reason.code for reason in written.reasons} == {"spark-unwritable"}
        return []
    return comparison.differences(query, case.relations)


@pytest.mark.parametrize("case", CASES)
def test_an_accepted_statement_has_the_same_answer(holding: Holding, case: Accepted) -> None:
    query = case.decide().value_or_raise()
    assert differences(holding(case), case, query) == [], case.sql


@pytest.fixture(scope="module")
def crowded(
    cluster: Cluster, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Accepted], Comparison]]:
    """Hold relations in which a unit has many rows, each with a place, so that bounds have something to leave out."""
    held: dict[str, Comparison] = {}

    def hold(case: Accepted) -> Comparison:
        if case.data not in held:
            folder = tmp_path_factory.mktemp("crowded")
            made = held[case.data] = Comparison(cluster.remote, client, folder)
            is_city = case.data == "city"
            relations = city.RELATIONS if is_city else case.relations
            engine = (
                World(folder / "world", relations, city.rows_of).engine if is_city else open_engine(relations=relations)
            )
            for relation in relations:
                engine.execute(f'ALTER TABLE "{relation.name}" ADD COLUMN "order:" UBIGINT')
                engine.execute(f'UPDATE "{relation.name}" SET "order:" = hash(rowid + 17)')
                if relation.policy.unit and not is_city:
                    engine.execute(f'UPDATE "{relation.name}" SET "unit:" = hash(rowid % {UNITS})')
            made.hold(engine, [relation.name for relation in relations])
            engine.close()
        return held[case.data]

    yield hold
    for comparison in held.values():
        comparison.close()


@pytest.mark.parametrize(("case", "kind"), PROTECTED)
def test_bounds_and_rounding_leave_the_same_answer(
    crowded: Callable[[Accepted], Comparison], case: Accepted, kind: str
) -> None:
    decision = case.decide(replace(case.thresholds, protection=PROTECTIONS[kind]))
    if isinstance(decision, Permitted):  # rounding has no form for some arguments
        assert differences(crowded(case), case, decision.value) == [], case.sql
