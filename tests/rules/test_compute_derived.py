"""Derived relations: a name for a query, and nothing that its sources do not allow."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gongshu.base.decisions import Permitted
from gongshu.base.ids import EntitlementId, PersonId
from gongshu.compute.rules import decide_query
from gongshu.compute.rules.derived import DERIVED_MAX, decide_derived, decide_drop
from gongshu.compute.types import DerivedRelation, Relation
from gongshu.policies.types import Use
from tests.governed import RELATIONS, THRESHOLDS, open_engine, run

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ADULTS = "SELECT join_compare_text, group_text AS kind, total_int AS income FROM people WHERE filter_int >= 18"


def derived(name: str, sql: str) -> DerivedRelation:
    """Return a wanted relation."""
    return DerivedRelation(f"d-{name}", EntitlementId("e"), name, sql, PersonId("p"), NOW)


def made(name: str, sql: str, *existing: DerivedRelation) -> DerivedRelation:
    """Return a permitted one."""
    decision = decide_derived(RELATIONS, THRESHOLDS, existing, derived(name, sql))
    assert isinstance(decision, Permitted), decision.reasons
    return decision.value


def codes(sql: str, *existing: DerivedRelation, relations: tuple[Relation, ...] = RELATIONS) -> list[str]:
    """Return why a statement over derived relations is refused; empty when it passes."""
    return [r.code for r in decide_query(relations, THRESHOLDS, sql, existing).reasons]


def test_it_keeps_uses_units_and_level_of_its_sources() -> None:
    found = made("adults", ADULTS)
    assert [(c.name, set(c.uses)) for c in found.columns] == [
        ("join_compare_text", {Use.JOIN, Use.COMPARE}), ("kind", {Use.GROUP}), ("income", {Use.TOTAL}),
    ]  # fmt: skip
    assert (found.is_row_level, found.units) == (True, ("join_compare_text",))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT kind, sum(income) FROM adults GROUP BY kind", []),
        ("SELECT sum(income) FROM adults JOIN visits USING (join_compare_text)", []),
        ("SELECT income FROM adults", ["reveal-missing", "rows-betray"]),
        ("SELECT count(*) FROM adults WHERE income > 5", ["filter-missing"]),
        ("SELECT max(income) FROM adults", ["rank-missing"]),
        ("WITH adults AS (SELECT 1 AS x) SELECT x FROM adults", ["name-repeated"]),
        ("SELECT filter_int FROM adults", ["column-unknown", "rows-betray"]),
        ("SELECT n FROM (WITH adults AS (SELECT count(*) AS n FROM people) SELECT n FROM adults) AS s", []),
    ],
)
def test_a_statement_over_it_may_do_what_its_sources_allow(sql: str, expected: list[str]) -> None:
    assert sorted(set(codes(sql, made("adults", ADULTS)))) == sorted(expected)


def test_one_may_be_derived_from_another_and_gives_the_same_answer() -> None:
    adults = made("adults", ADULTS)
    rich = made("rich", "SELECT kind, sum(income) AS total FROM adults GROUP BY kind", adults)
    assert not rich.is_row_level
    chained = decide_query(RELATIONS, THRESHOLDS, "SELECT kind, total FROM rich ORDER BY kind", (adults, rich))
    plain = decide_query(
        RELATIONS, THRESHOLDS,
        "SELECT group_text AS kind, sum(total_int) AS total FROM people WHERE filter_int >= 18 GROUP BY kind ORDER BY kind",
    )  # fmt: skip
    assert isinstance(chained, Permitted)
    assert isinstance(plain, Permitted)
    with open_engine() as engine:
        expected = run(engine, plain.value)
    with open_engine() as engine:
        assert run(engine, chained.value) == expected
    assert expected


def test_what_a_provider_takes_back_is_gone_there_too() -> None:
    adults = made("adults", ADULTS)
    narrowed = tuple(
        replace(r, policy=replace(r.policy, columns=tuple(c for c in r.policy.columns if c.column != "total_int")))
        for r in RELATIONS
    )
    assert "total-missing" in codes("SELECT sum(income) FROM adults", adults, relations=narrowed)


@pytest.mark.parametrize(
    ("name", "sql", "expected"),
    [
        ("Adults", ADULTS, ["derived-name-invalid"]),
        ("people", ADULTS, ["name-repeated"]),
        ("a-b", ADULTS, ["derived-name-invalid"]),
        ("again", "SELECT * FROM again", ["relation-unknown"]),
        ("two", "SELECT 1; SELECT 2", ["statement-not-one"]),
        ("drop", "DROP TABLE people", ["statement-not-a-query"]),
        ("hidden", "SELECT sum(no_int) FROM people", ["total-missing"]),
        ("both-wrong", "SELECT sum(no_int) FROM people", ["derived-name-invalid", "total-missing"]),
    ],
)
def test_a_bad_one_is_refused_with_every_reason(name: str, sql: str, expected: list[str]) -> None:
    found = decide_derived(RELATIONS, THRESHOLDS, (), derived(name, sql))
    assert [reason.code for reason in found.reasons] == expected


def test_there_are_only_so_many_and_one_in_use_stays() -> None:
    many = tuple(derived(f"d{i}", "SELECT 1 AS x") for i in range(DERIVED_MAX))
    found = decide_derived(RELATIONS, THRESHOLDS, many, derived("one", "SELECT 1 AS x"))
    assert [r.code for r in found.reasons] == ["derived-too-many"]
    chain = (derived("a", "SELECT 1 AS x"), derived("b", "SELECT x FROM a"))
    assert [r.code for r in decide_drop(chain, "a").reasons] == ["derived-used"]
    assert decide_drop(chain, "b").reasons == ()
