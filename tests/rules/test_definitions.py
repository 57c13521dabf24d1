"""What defines a group: the same question in other words is the same, another question with the same answer is not."""

import pytest

from gongshu.compute.adapters.ledger import _shown
from gongshu.compute.rules import ledger
from gongshu.compute.types import Definition, ReleasedGroup, Shown
from tests.governed import permitted

COLUMN, NUMBER, OTHER = "filter_group_rank_total_int", "filter_int", "group_filter_text"


def defined(sql: str, condition: int = 0, stage: int = -1) -> Definition:
    return permitted(sql).traces[stage].definitions[condition]


def shown(sql: str, values: str = "", condition: int = 0) -> Shown:
    """Return the definition of the group with these values; literals are hashed to themselves."""
    definition = defined(sql, condition)
    return _shown(definition, values, 0, {literal: literal for _, literal in definition.equalities})


SAME = [
    ("whatever is asked of it", f"SELECT count(*) FROM people WHERE {NUMBER} > 3", f"SELECT sum(total_int), count(*) FROM people p WHERE {NUMBER} > 3"),
    ("in whatever order", f"SELECT count(*) FROM people WHERE {NUMBER} > 3 AND {OTHER} <> 'x'", f"SELECT count(*) FROM people WHERE {OTHER} <> 'x' AND TRUE AND {NUMBER} > 3"),
    ("through a subquery", f"SELECT count(*) FROM people WHERE {NUMBER} > 3", f"SELECT count(*) FROM (SELECT total_int AS t, {NUMBER} AS n FROM people) AS q WHERE n > 3"),
    ("filtered inside or outside", f"SELECT count(*) FROM people WHERE {NUMBER} > 3 AND {COLUMN} > 1", f"SELECT count(*) FROM (SELECT {COLUMN} AS c FROM people WHERE {NUMBER} > 3) AS q WHERE c > 1"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), [case[1:] for case in SAME], ids=[case[0] for case in SAME])
def test_the_same_groups_are_known_whatever_words_they_come_in(one, other):
    assert shown(one) == shown(other)


def test_a_value_may_stand_in_where_or_be_a_group_key_or_filter_an_aggregate():
    by_key = shown(f"SELECT {COLUMN}, count(*) FROM people GROUP BY {COLUMN}", "7")
    by_where = shown(f"SELECT count(*) FROM people WHERE {COLUMN} = 7")
    by_both = shown(f"SELECT {COLUMN}, count(*) FROM people WHERE {COLUMN} = 7 GROUP BY {COLUMN}", "7")
    by_filter = shown(f"SELECT count(*), count(*) FILTER (WHERE {COLUMN} = 7) FROM people", condition=1)
    assert by_key.condition == by_where.condition == by_both.condition == by_filter.condition
    assert by_key.family == by_where.family
    assert shown(f"SELECT count(*) FROM people WHERE {COLUMN} = 8").condition != by_key.condition


def test_keys_may_come_in_any_order():
    one = shown(f"SELECT {COLUMN}, {OTHER}, count(*) FROM people GROUP BY {COLUMN}, {OTHER}", "7,9")
    other = shown(f"SELECT {COLUMN}, {OTHER}, count(*) FROM people GROUP BY {OTHER}, {COLUMN}", "9,7")
    assert one == other


OTHERS = [
    ("another filter", "SELECT count(*) FROM people", f"SELECT count(*) FROM people WHERE {NUMBER} > 0"),
    ("a join that may drop somebody", "SELECT count(*) FROM people", "SELECT count(*) FROM people JOIN visits USING (join_compare_text)"),
    ("a semi-join", "SELECT count(*) FROM people", "SELECT count(*) FROM people WHERE join_compare_text IN (SELECT join_compare_text FROM visits)"),
    ("another released value", f"SELECT count(*) FROM people WHERE {COLUMN} > (SELECT avg(total_int) FROM people)", f"SELECT count(*) FROM people WHERE {COLUMN} > (SELECT sum(total_int) FROM people)"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), [case[1:] for case in OTHERS], ids=[case[0] for case in OTHERS])
def test_another_question_is_another_definition(one, other):
    assert shown(one).condition != shown(other).condition


def test_only_columns_and_bins_of_bare_relations_are_boxes():
    assert defined("SELECT count(*) FROM people").is_open
    assert defined(f"SELECT {COLUMN}, count(*) FROM people GROUP BY {COLUMN}").is_open
    filtered = defined(f"SELECT {COLUMN}, count(*) FROM people WHERE {NUMBER} > 3 GROUP BY {COLUMN}")
    assert filtered.is_box
    assert not filtered.is_open
    for bins in (
        f"{COLUMN} // 10",
        f"floor({COLUMN} / 10)",
        "date_trunc('month', group_filter_date)",
        "year(group_filter_date)",
    ):
        assert defined(f"SELECT {bins} AS k, count(*) FROM people GROUP BY k").is_open, bins
    for told in (
        f"SELECT {COLUMN} // 10 AS k, count(*) FROM people WHERE {COLUMN} > 7 GROUP BY k",
        f"SELECT 10 // {COLUMN} AS k, count(*) FROM people GROUP BY k",
        f"SELECT floor(abs({COLUMN} - 7) / 10) AS k, count(*) FROM people GROUP BY k",
        f"SELECT {COLUMN}, count(*) FROM people WHERE {COLUMN} IN (7, 8) GROUP BY {COLUMN}",
        f"SELECT count(*) FROM people WHERE {NUMBER} > 3 OR {COLUMN} = 7",
        f"SELECT count(*) FROM people WHERE {NUMBER} + {COLUMN} > 3",
        f"SELECT {COLUMN} + 1, count(*) FROM people GROUP BY {COLUMN} + 1",
        f"SELECT CASE WHEN {NUMBER} = 7 THEN 1 ELSE {COLUMN} END AS k, count(*) FROM people GROUP BY k",
    ):
        assert not defined(told).is_box, told


def test_a_definition_is_told_by_digests_alone():
    definition = defined(f"SELECT {OTHER}, count(*) FROM people WHERE {NUMBER} > 3 GROUP BY {OTHER}")
    assert {len(text) for text in (definition.rows, *definition.keys)} == {64}


# ---------------------------------------------------------------------------------------------------- deciding


ALL, PART = (100, 1), (60, 2)
OPEN, BARE, TOLD = Shown("all", "f", is_open=True), Shown("by district", "f", is_open=True), Shown("but one", "g")


def group(units: tuple[int, int], shown: Shown, number: int = 0, trace: int = 0) -> ReleasedGroup:
    return ReleasedGroup(trace, number, 0, units, shown)


def refused(groups: list[ReleasedGroup], known: dict, whole: int | None = None) -> set:
    return set(ledger.decide_repeats(groups, {k: frozenset(v) for k, v in known.items()}, whole, 10))


def test_a_known_set_is_shown_again_by_its_own_definition_only():
    known = {PART: {TOLD}}
    assert refused([group(PART, TOLD)], known) == set()
    assert refused([group(PART, Shown("another", "g"))], known) == {(0, 0)}


def test_a_whole_table_by_bare_columns_may_repeat_another_one():
    """A name beside its code: every group is a group of the earlier table."""
    known = {PART: {OPEN}, (40, 3): {OPEN}}
    by_name = [group(PART, BARE, 1), group((40, 3), Shown("b", "f", is_open=True), 2)]
    assert refused(by_name, known) == set()
    assert refused([by_name[0], group((39, 4), BARE, 2)], known) == {(0, 1)}, (
        "a group that is new: the table is another"
    )
    assert refused([group(PART, TOLD)], known) == {(0, 0)}


def test_all_but_nobody_looks_like_all_but_one():
    assert refused([group(ALL, TOLD)], {}, whole=100) == {(0, 0)}
    assert refused([group(ALL, TOLD)], {}, whole=109) == {(0, 0)}
    assert refused([group(ALL, TOLD)], {}, whole=110) == set()
    assert refused([group(ALL, OPEN)], {}, whole=100) == set()


def test_two_definitions_of_one_set_in_one_statement_are_one_too_many():
    assert refused([group(PART, TOLD, 1), group(PART, Shown("another"), 2, trace=1)], {}) == {(1, 2)}
