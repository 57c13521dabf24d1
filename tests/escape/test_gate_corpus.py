"""No hostile statement yields a value of a column without ``reveal``, or a group under the threshold."""

from collections.abc import Iterator

import duckdb
import pytest

from gongshu.base.decisions import Denied
from gongshu.compute.rules import decide_query
from tests.escape.corpus import CORPUS, WITHHELD
from tests.governed import RELATIONS, THRESHOLDS, open_engine, run


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_engine(400) as opened:
        yield opened


@pytest.mark.parametrize(("sql", "expected"), CORPUS, ids=[sql[:100] for sql, _ in CORPUS])
def test_a_hostile_statement_gives_nothing(engine: duckdb.DuckDBPyConnection, sql: str, expected: str) -> None:
    decision = decide_query(RELATIONS, THRESHOLDS, sql)
    if expected != WITHHELD:
        assert isinstance(decision, Denied)
        assert expected in {reason.code for reason in decision.reasons}
        assert "SECRET" not in str([(dict(r.facts), r.what) for r in decision.reasons]).replace("'SECRET 42'", "")
        return
    assert not isinstance(decision, Denied), [(r.code, dict(r.facts)) for r in decision.reasons]
    assert run(engine, decision.value) == []


def test_the_corpus_is_large_and_has_no_repetition() -> None:
    statements = [sql for sql, _ in CORPUS]
    assert len(statements) == len(set(statements)) >= 60
