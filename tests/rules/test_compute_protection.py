"""Bounds, rounding and noise at the gate: what is refused, what it costs, what the written statement gives."""

from dataclasses import replace

import pytest

from gongshu.base.decisions import Permitted
from gongshu.base.ids import EntitlementId, JobId, ResourceId
from gongshu.compute.rules import budget, decide_query
from gongshu.compute.types import Price, PrivacyBudget
from gongshu.policies.types import (
    Clamp,
    ContributionBounds,
    Noise,
    NoiseMechanism,
    Protection,
    Rounding,
    RoundingMethod,
)
from tests import samples
from tests.governed import RELATIONS, THRESHOLDS, open_engine, run

CLAMPS = tuple(
    Clamp(ResourceId("resource-people"), c, -10, 100) for c in ("total_int", "filter_total_int", "total_dec")
)
NOISE = Noise(NoiseMechanism.LAPLACE, 500, 1000, 10_000, 10_000, CLAMPS)
NOISY = replace(THRESHOLDS, protection=Protection(ContributionBounds(2, 3), noise=NOISE))


def protected(**protection):
    return replace(THRESHOLDS, protection=Protection(**protection))


ROUNDED = protected(rounding=Rounding(5))

REFUSED = [
    (ROUNDED, "SELECT sum(total_int + 100) FROM people", "rounding-argument"),
    (ROUNDED, "SELECT avg(total_int + filter_total_int) FROM people", "rounding-argument"),
    (ROUNDED, "SELECT sum(1) FROM people", "rounding-argument"),
    (ROUNDED, "SELECT sum(CASE WHEN filter_flag THEN 1 ELSE 0 END) FROM people", "rounding-argument"),
    (NOISY, "SELECT median(rank_int) FROM people", "noise-function"),
    (NOISY, "SELECT max(rank_int) FROM people", "noise-function"),
    (NOISY, "SELECT count(DISTINCT total_int) FROM people", "noise-function"),
    (NOISY, "SELECT corr(total_int, total_dec) FROM people", "noise-function"),
    (NOISY, "SELECT sum(filter_total_dec) FROM people", "noise-clamp"),
    (NOISY, "SELECT avg(abs(filter_total_int)) FROM people", "noise-clamp"),
    (NOISY, "SELECT reveal_text FROM people", "noise-rows"),
    (NOISY, "SELECT count(*) FROM (SELECT reveal_int FROM people ORDER BY reveal_int LIMIT 5)", "noise-rows"),
    (NOISY, "SELECT count(*) FROM people AS p JOIN visits AS v ON p.join_int = v.join_int", "noise-unit"),
    (NOISY, "SELECT count(*) FROM people AS p JOIN people AS q ON p.join_int = q.join_int", "noise-unit"),
    (NOISY, "SELECT count(*) FROM people AS p FULL JOIN visits AS v ON p.join_compare_text = v.join_compare_text", "noise-unit"),
]  # fmt: skip


@pytest.mark.parametrize(("thresholds", "sql", "code"), REFUSED)
def test_what_could_not_be_kept_is_refused(thresholds, sql, code):
    assert code in [reason.code for reason in decide_query(RELATIONS, thresholds, sql).reasons]


PRICED = [
    ("SELECT count(*) AS n FROM people", Price(500, 0, 1)),
    ("SELECT count(DISTINCT join_compare_text) AS n FROM people", Price(500, 0, 1)),
    ("SELECT sum(total_int) AS s FROM people", Price(500, 0, 1)),
    ("SELECT avg(total_int) AS a FROM people", Price(1000, 0, 2)),
    ("SELECT stddev_samp(total_int) AS d FROM people", Price(1500, 0, 3)),
    # What is measured once is used as often as one likes.
    ("SELECT count(total_int) AS n, avg(total_int) AS a, var_pop(total_int) AS v FROM people", Price(1500, 0, 3)),
    ("SELECT count(*) AS n, count(*) AS m, count(*) * 2 AS o FROM people", Price(500, 0, 1)),
    ("SELECT group_text, count(*) AS n FROM people GROUP BY group_text", Price(1000, 1000, 2)),
    ("SELECT DISTINCT group_text FROM people", Price(500, 1000, 1)),
    # The units of a whole group are known from the choice of groups.
    ("SELECT group_text, count(DISTINCT join_compare_text) AS n FROM people GROUP BY group_text", Price(500, 1000, 1)),
    ("SELECT count(*) FILTER (WHERE filter_flag) AS a, count(*) AS b FROM people", Price(1000, 0, 2)),
    ("SELECT sum(filter_total_int * 2 + 7) AS s FROM people", Price(500, 0, 1)),
    ("SELECT sum(CASE WHEN filter_flag THEN total_int END) AS s FROM people", Price(500, 0, 1)),
    ("SELECT sum(CASE WHEN filter_flag THEN 1 ELSE 0 END) AS s FROM people", Price(500, 0, 1)),
    # Stages add up; what is made of their results costs nothing.
    ("SELECT (SELECT count(*) FROM people) AS a, (SELECT sum(total_int) FROM people) AS b", Price(1000, 0, 2)),
    ("WITH g AS (SELECT group_text AS k, count(*) AS n FROM people GROUP BY group_text) SELECT sum(n) AS s FROM g", Price(1000, 1000, 2)),
    ("SELECT count(*) AS n FROM people WHERE filter_int > (SELECT avg(total_int) FROM people)", Price(1500, 0, 3)),
    ("SELECT count(*) AS n FROM people UNION ALL SELECT count(*) AS n FROM people WHERE filter_flag", Price(1000, 0, 2)),
    # Relations that are joined by their units speak of one unit in every row.
    ("SELECT count(*) AS n FROM people AS p JOIN visits AS v ON p.join_compare_text = v.join_compare_text", Price(500, 0, 1)),
    ("SELECT count(DISTINCT v.join_compare_text) AS n FROM people AS p LEFT JOIN visits AS v ON p.join_compare_text = v.join_compare_text", Price(500, 0, 1)),
    # A table that speaks of nobody costs nothing.
    ("SELECT count(*) AS n FROM areas", None),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "price"), PRICED)
def test_a_statement_has_its_price(sql, price):
    decision = decide_query(RELATIONS, NOISY, sql)
    assert isinstance(decision, Permitted), [reason.code for reason in decision.reasons]
    assert decision.value.price == price


def test_gaussian_noise_takes_of_delta_with_every_measurement():
    gaussian = protected(bounds=ContributionBounds(2, 3), noise=replace(NOISE, mechanism=NoiseMechanism.GAUSSIAN))
    sql = "SELECT group_text, avg(total_int) AS a FROM people GROUP BY group_text"
    assert decide_query(RELATIONS, gaussian, sql).value_or_raise().price == Price(1500, 3000, 3)


SENSITIVITIES = [
    ("count(*)", 2),
    ("count(DISTINCT join_compare_text)", 1),
    ("sum(total_int)", 2 * (100 * 10**6 + 1)),  # N rows of a size of at most 100, in millionths
    ("sum(total_int * 10)", 2 * (100 * 10**6 + 1)),  # of at most 1000, in hundred-thousandths
]  # fmt: skip


@pytest.mark.parametrize(("aggregate", "sensitivity"), SENSITIVITIES)
def test_sensitivity_follows_from_bounds(aggregate, sensitivity):
    query = decide_query(RELATIONS, NOISY, f"SELECT {aggregate} AS a FROM people").value_or_raise()
    (noise,) = (stage.noise for stage in query.stages if stage.noise is not None)
    assert [one.sensitivity for one in noise.measurements] == [sensitivity]
    assert (noise.groups_per_unit_max, noise.keys) == (1, 0)


ROUNDINGS = [
    (Rounding(5), [(0, 0), (2, 0), (3, 5), (7, 5), (8, 10), (401, 400)]),
    (Rounding(5, redact_max=7), [(0, None), (7, None), (8, 10), (12, 10)]),
    (Rounding(6, RoundingMethod.MIDPOINT), [(0, 0), (1, 3), (6, 3), (7, 9), (12, 9), (13, 15)]),
]  # fmt: skip


@pytest.mark.parametrize(("rounding", "pairs"), ROUNDINGS)
def test_counts_are_rounded_as_stated(rounding, pairs):
    from gongshu.compute.rules.rounding import rounded
    from gongshu.compute.rules.writing import name

    with open_engine(1) as engine:
        for count, shown in pairs:
            written = rounded(name("n"), rounding).sql(dialect="duckdb")
            assert engine.execute(f"SELECT {written} FROM (SELECT {count} AS n)").fetchone() == (shown,)


def test_no_exact_number_of_rows_is_left_where_counts_are_rounded():
    sql = """SELECT count(*) AS n, sum(total_dec) AS s, avg(total_dec) AS a, sum(total_int) AS si, avg(total_int) AS ai,
        var_samp(total_dec) AS vs, var_pop(total_dec) AS vp FROM people"""
    query = decide_query(RELATIONS, ROUNDED, sql).value_or_raise()
    with open_engine(403) as engine:
        ((n, s, a, si, ai, vs, vp),) = run(engine, query)
    assert n == 405
    assert round(float(s) / a, 6) == 405
    assert si % 5 == 0
    assert round(float(si) / ai) in range(400, 410)
    assert round(vs / vp, 9) == round(405 / 404, 9)


def test_later_steps_read_what_is_rounded():
    by_group = "SELECT group_text AS k, count(*) AS n FROM people GROUP BY group_text"
    query = decide_query(RELATIONS, ROUNDED, f"SELECT sum(n) AS total FROM ({by_group})").value_or_raise()
    with open_engine(403) as engine:
        parts = run(engine, decide_query(RELATIONS, ROUNDED, by_group).value_or_raise())
        assert run(engine, query) == [(sum(n for _, n in parts),)]


def with_price(price):
    job = samples.job()
    query = replace(job.plan.query, price=price)
    return replace(job, id=JobId("job-1"), plan=replace(job.plan, query=query))


def test_a_budget_is_charged_exactly_to_its_end_and_no_further():
    given = PrivacyBudget(EntitlementId("e"), 1000, 10, 500, 4)
    charged = budget.decide_charge(given, with_price(Price(500, 6, 1)), samples.NOW)
    assert isinstance(charged, Permitted)
    after, charge = charged.value
    assert (after.epsilon_milli_left, after.delta_pico_left) == (0, 0)
    assert (charge.id, charge.price) == ("job-1", Price(500, 6, 1))
    for price in (Price(501, 0, 1), Price(0, 7, 1)):
        refused = budget.decide_charge(given, with_price(price), samples.NOW)
        assert [reason.code for reason in refused.reasons] == ["budget-spent"]
    with pytest.raises(ValueError, match="price"):
        budget.decide_charge(given, with_price(Price(-1, 0, 1)), samples.NOW)
    with pytest.raises(ValueError, match="price"):
        budget.decide_charge(None, with_price(None), samples.NOW)
