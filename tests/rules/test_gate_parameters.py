"""Parameters of a statement: declared type and length, bound as literals, decided as the literals they are."""

import pytest

from gongshu.base.decisions import Decision, Denied
from gongshu.base.digest import Ref, digest_of
from gongshu.catalog.types import DataType
from gongshu.compute.rules import decide_query
from gongshu.compute.rules.jobs import plan_query
from gongshu.compute.rules.parameters import read_parameters
from gongshu.compute.types import GovernedQuery, StatementParameter
from tests.governed import RELATIONS, THRESHOLDS, open_engine, run


def given(*texts: str) -> tuple[StatementParameter, ...]:
    return read_parameters(texts).value_or_raise()


def decide(sql: str, *texts: str) -> Decision[GovernedQuery]:
    return decide_query(RELATIONS, THRESHOLDS, sql, parameters=given(*texts))


def codes(decision: Decision[GovernedQuery]) -> set[str]:
    return {reason.code for reason in decision.reasons}


ACCEPTED = [
    ("SELECT count(*) FROM people WHERE filter_text = $kind", "SELECT count(*) FROM people WHERE filter_text = 'a''b'", ("kind: text(10) = a'b",)),
    ("SELECT count(*) FROM people WHERE filter_int > ? AND filter_int < ?", "SELECT count(*) FROM people WHERE filter_int > -5 AND filter_int < 7.5", ("1: integer = -5", "2: decimal = 7.5")),
    ("SELECT count(*) FROM people WHERE filter_date >= $since", "SELECT count(*) FROM people WHERE filter_date >= DATE '2020-02-29'", ("since: date = 2020-02-29",)),
    ("SELECT count(*) FROM people WHERE filter_date < $until", "SELECT count(*) FROM people WHERE filter_date < TIMESTAMP '2020-02-29 08:00:00'", ("until: timestamp = 2020-02-29T08:00:00",)),
    ("SELECT count(*) FROM people WHERE filter_flag = $flag", "SELECT count(*) FROM people WHERE filter_flag = FALSE", ("flag: boolean = false",)),
    ("SELECT count(*) FROM people WHERE filter_text LIKE $p OR filter_text IN ($a, $b)", "SELECT count(*) FROM people WHERE filter_text LIKE 'x%' OR filter_text IN ('u', 'v')", ("p: text = x%", "a: text = u", "b: text = v")),
    ("SELECT group_text, count(*) AS n FROM people GROUP BY group_text ORDER BY n LIMIT ? OFFSET ?", "SELECT group_text, count(*) AS n FROM people GROUP BY group_text ORDER BY n LIMIT 3 OFFSET 1", ("1: integer = 3", "2: integer = 1")),
    ("SELECT sum(total_int * $factor) FROM people", "SELECT sum(total_int * 100) FROM people", ("factor: integer = 100",)),
    ("WITH a AS (SELECT total_int AS x FROM people WHERE filter_int > $v) SELECT sum(x), (SELECT count(*) FROM people WHERE filter_int > $v) FROM a", "WITH a AS (SELECT total_int AS x FROM people WHERE filter_int > 7000010) SELECT sum(x), (SELECT count(*) FROM people WHERE filter_int > 7000010) FROM a", ("v: integer = 7000010",)),
    ("SELECT '?' AS q, count(*) FROM people WHERE filter_text = ? -- ?", "SELECT '?' AS q, count(*) FROM people WHERE filter_text = 'x'", ("1: text = x",)),
]  # fmt: skip

REFUSED = [
    ("SELECT count(*) FROM people WHERE filter_text = $kind", (), {"parameter-unknown"}),
    ("SELECT count(*) FROM people WHERE filter_text = ?", ("kind: text = a",), {"parameter-unknown", "parameter-unused"}),
    ("SELECT count(*) FROM people", ("kind: text = a",), {"parameter-unused"}),
    ("SELECT count(*) FROM people WHERE filter_text = $k", ("k: text = a", "k: text = b"), {"parameter-repeated"}),
    ("SELECT count(*) FROM people WHERE filter_text = $k", ("k: text(3) = abcd",), {"parameter-invalid"}),
    ("SELECT count(*) FROM people WHERE filter_text = $k", ("k: text = a\0b",), {"parameter-invalid"}),
    ("SELECT count(*) FROM people WHERE filter_int = $k", ("k: integer = 1; DROP TABLE people",), {"parameter-invalid"}),
    ("SELECT count(*) FROM people WHERE filter_int = $k", ("k: integer = 1 OR 1 = 1",), {"parameter-invalid"}),
    ("SELECT count(*) FROM people WHERE filter_int = $k", ("k: integer = 1e3",), {"parameter-invalid"}),
    ("SELECT count(*) FROM people WHERE filter_int = $k", ("k: integer = ٣",), {"parameter-invalid"}),
    ("SELECT count(*) FROM people WHERE filter_int = $k", ("k: decimal = nan",), {"parameter-invalid"}),
    ("SELECT count(*) FROM people WHERE filter_date = $k", ("k: date = 2020-02-30",), {"parameter-invalid"}),
    ("SELECT count(*) FROM people WHERE filter_date = $k", ("k: date = infinity",), {"parameter-invalid"}),
    ("SELECT count(*) FROM people WHERE filter_date = $k", ("k: timestamp = 2020-02-20T08:00:00+08:00",), {"parameter-invalid"}),
    ("SELECT count(*) FROM people WHERE filter_flag = $k", ("k: boolean = TRUE OR TRUE",), {"parameter-invalid"}),
    # a parameter is the literal that it is, wherever it stands
    ("SELECT count(*) FROM people WHERE no_int = $k", ("k: integer = 3",), {"filter-missing"}),
    ("SELECT count(*) FROM people WHERE filter_int = $k", ("k: text = 3",), {"types-differ"}),
    ("SELECT sum(total_int * $k * $k) FROM people", ("k: integer = 1000000000000",), {"constant-out-of-range"}),
    ("SELECT group_text FROM people GROUP BY group_text LIMIT $k", ("k: integer = -1",), {"limit-not-literal"}),
    ("SELECT group_text FROM people GROUP BY group_text LIMIT $k", ("k: text = 1",), {"limit-not-literal"}),
    ("SELECT count(*) FROM $k", ("k: text = people",), {"construct-refused", "parameter-unused"}),
    ("SELECT group_text, count(*) FROM people GROUP BY $k", ("k: integer = 1",), {"column-not-grouped"}),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "plain", "texts"), ACCEPTED, ids=[sql for sql, _, _ in ACCEPTED])
def test_a_statement_with_parameters_is_the_statement_with_literals(
    sql: str, plain: str, texts: tuple[str, ...]
) -> None:
    bound, written = decide(sql, *texts).value_or_raise(), decide(plain).value_or_raise()
    with open_engine(60) as engine:
        assert run(engine, bound) == run(engine, written)
    assert (bound.projections, bound.lineage) == (written.projections, written.lineage)


@pytest.mark.parametrize(("sql", "texts", "wanted"), REFUSED, ids=[f"{sql} {texts}" for sql, texts, _ in REFUSED])
def test_a_parameter_is_refused_with_the_reason(sql: str, texts: tuple[str, ...], wanted: set[str]) -> None:
    assert codes(decide(sql, *texts)) == wanted


def test_a_parameter_names_no_column() -> None:
    query = decide("SELECT $k AS x", "k: text = no_text").value_or_raise()
    assert query.sql == "SELECT 'no_text' AS \"x\""


def test_no_refusal_names_the_value_of_a_parameter() -> None:
    decision = decide("SELECT count(*) FROM people WHERE filter_int = $k", "k: integer = SECRET")
    assert isinstance(decision, Denied)
    assert "SECRET" not in str([(dict(r.facts), r.what, r.fix) for r in decision.reasons])


@pytest.mark.parametrize(
    "text", ["", "name", "name = 3", "name: number = 3", "name: text() = 3", "a b: text = 3", "n: text 3"]
)
def test_what_cannot_be_read_as_a_parameter_is_refused(text: str) -> None:
    assert {reason.code for reason in read_parameters((text,)).reasons} == {"parameter-unreadable"}


def test_a_value_keeps_its_spaces_and_lines_beyond_the_first_space() -> None:
    assert given("k: text(20) =  a = b\n ") == (StatementParameter("k", DataType.TEXT, " a = b\n ", 20),)


def test_a_plan_freezes_the_parameters() -> None:
    sql = "SELECT count(*) FROM people WHERE filter_int > $k"
    plans = []
    for value in ("7000010", "7000011"):
        texts = (f"k: integer = {value}",)
        query = decide(sql, *texts).value_or_raise()
        plans.append(plan_query(Ref("entitlement", "e", ""), sql, query, (), THRESHOLDS, parameters=given(*texts)))
    assert plans[0].code_digest == plans[1].code_digest
    assert plans[0].digest != plans[1].digest
    assert digest_of(plans[0].parameters) != digest_of(plans[1].parameters)
