"""No hostile statement yields a value of a column without ``reveal``, a group under the threshold, or a telling failure."""

from collections.abc import Iterator

import pytest

from gongshu.base.decisions import Denied
from gongshu.compute.rules import decide_query
from tests.escape.corpus import CORPUS, OUTCOMES
from tests.escape.hostile.outcomes import APART, WITHHELD
from tests.escape.planted import RELATIONS, TWIN, VICTIM, Neighbour, is_secret, leaks, rows_of, worlds
from tests.escape.world import World
from tests.governed import PEOPLE, THRESHOLDS

REFUSED = [(sql, code) for sql, code in CORPUS if code not in OUTCOMES]
PERMITTED = [(sql, outcome) for sql, outcome in CORPUS if outcome in OUTCOMES]


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Neighbour, World]]:
    made = worlds(tmp_path_factory.mktemp("worlds"), Neighbour.PLAIN, Neighbour.SWAPPED, Neighbour.CHANGED)
    yield made
    for world in made.values():
        world.engine.close()


@pytest.mark.parametrize(("sql", "code"), REFUSED, ids=[sql[:100] for sql, _ in REFUSED])
def test_a_hostile_statement_is_refused_with_its_reason(sql: str, code: str) -> None:
    decision = decide_query(RELATIONS, THRESHOLDS, sql)
    assert isinstance(decision, Denied)
    assert code in {reason.code for reason in decision.reasons}
    said = str([(dict(r.facts), r.what, r.fix) for r in decision.reasons])
    assert "SECRET" not in said.replace("SECRET 42", "")


@pytest.mark.parametrize(("sql", "outcome"), PERMITTED, ids=[sql[:100] for sql, _ in PERMITTED])
def test_a_hostile_statement_that_may_run_tells_nothing_of_one_unit(
    neighbours: dict[Neighbour, World], sql: str, outcome: str
) -> None:
    plain, swapped, changed = (world.ask([sql])[0] for world in neighbours.values())
    assert [leaks(answer) for answer in (plain, swapped, changed)] == [[], [], []]
    assert plain.shape == swapped.shape
    assert plain.code == changed.code
    if outcome == WITHHELD:
        assert plain.rows == swapped.rows == changed.rows == ()
        assert plain == swapped == changed
    elif outcome != APART:
        assert plain == swapped


def test_neighbouring_worlds_differ_in_every_secret_of_the_victim_and_in_nothing_else() -> None:
    plain, swapped = (rows_of(PEOPLE, world) for world in (Neighbour.PLAIN, Neighbour.SWAPPED))
    for index, column in enumerate(PEOPLE.columns):
        differing = {row for row in range(len(plain)) if plain[row][index] != swapped[row][index]}
        assert differing <= {VICTIM, TWIN}
        assert bool(differing) is is_secret(column.name), column.name


def test_the_oracle_knows_a_leak_when_it_sees_one(neighbours: dict[Neighbour, World]) -> None:
    """The check can fail: what a governed statement would show without its thresholds is found."""
    plain, swapped, _ = neighbours.values()
    raw = [
        f"SELECT {shown} FROM people WHERE filter_int = {700_000 + VICTIM * 3}"
        for shown in (
            "total_int AS x",
            "count(*) AS n",
            "filter_text AS x",
            "rank_date AS x",
            "sum(total_int) + 1 AS x",
        )
    ]
    for sql in raw:
        answers = [_raw(world, sql) for world in (plain, swapped)]
        assert leaks(answers[0]) or answers[0] != answers[1], sql


def _raw(world: World, sql: str):
    from tests.escape.world import Answer

    found = world.engine.execute(sql)
    return Answer(columns=tuple(item[0] for item in found.description), rows=tuple(found.fetchall()))


def test_the_corpus_is_large_and_has_no_repetition() -> None:
    statements = [sql for sql, _ in CORPUS]
    assert len(statements) == len(set(statements)) >= 800
