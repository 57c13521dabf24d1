"""Where noise is demanded nothing reads rows of units but the steps that get noise, whatever is asked."""

from dataclasses import replace

import pytest
import sqlglot
from sqlglot import exp

from gongshu.base.decisions import Permitted
from gongshu.compute.rules import decide_query
from gongshu.compute.rules.noise import NOISY
from gongshu.compute.types import GovernedQuery, Relation
from gongshu.policies.types import Clamp, ContributionBounds, Noise, NoiseMechanism, Protection, Thresholds
from tests.escape.city import RELATIONS as CITY
from tests.escape.corpus import CORPUS
from tests.escape.ordinary import ORDINARY
from tests.escape.planted import RELATIONS
from tests.governed import THRESHOLDS

ASKED = [(sql, RELATIONS) for sql, _ in CORPUS] + [(sql, CITY) for sql in ORDINARY]


def noisy(relations: tuple[Relation, ...]) -> Thresholds:
    """Demand noise, with bounds declared of every column, so that as much as possible is permitted."""
    clamps = tuple(Clamp(r.resource, c.name, -1000, 8_000_000) for r in relations for c in r.columns)
    noise = Noise(NoiseMechanism.LAPLACE, 500, 1000, 10**6, 10**6, clamps)
    return replace(THRESHOLDS, protection=Protection(ContributionBounds(2, 3), noise=noise))


def tables_of(sql: str) -> set[str]:
    """Return the tables that a written step reads, without the names it makes itself."""
    tree = sqlglot.parse_one(sql, dialect="duckdb")
    return {table.name for table in tree.find_all(exp.Table)} - {cte.alias for cte in tree.find_all(exp.CTE)}


def exact_readers(query: GovernedQuery, of_units: set[str]) -> list[str]:
    """Return the steps without noise that read rows of units, or the exact table behind a noisy one."""
    plain = [stage.sql for stage in query.stages if stage.noise is None] + [query.sql]
    return [sql for sql in plain if tables_of(sql) & of_units]


@pytest.mark.parametrize("relations", [RELATIONS, CITY], ids=["planted", "city"])
def test_only_steps_with_noise_read_rows_of_units(relations: tuple[Relation, ...]) -> None:
    of_units = {relation.name for relation in relations if relation.policy.unit}
    thresholds, permitted, priced = noisy(relations), 0, 0
    for sql, asked_of in ASKED:
        decision = decide_query(relations, thresholds, sql) if asked_of is relations else None
        if not isinstance(decision, Permitted):
            continue
        query = decision.value
        assert exact_readers(query, of_units) == [], sql
        for stage, after in zip(query.stages, query.stages[1:], strict=False):
            if stage.noise is not None:
                assert (stage.name, tables_of(after.sql)) == (f"{NOISY}{after.name}", {stage.name}), sql
                assert stage.noise.epsilon_milli == 500
                assert min((one.sensitivity for one in stage.noise.measurements), default=1) >= 1
        reads_units = any(projection.has_unit for projection in query.projections)
        assert (query.price is not None) is reads_units, sql
        permitted += 1
        priced += query.price is not None
    assert priced >= 20, (permitted, priced)
