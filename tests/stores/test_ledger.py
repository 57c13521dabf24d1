"""The ledger of released groups, down the whole path: a second job is told nothing that the first one's answer would complete."""

import stat

import duckdb

from gongshu.base.ids import EntitlementId
from gongshu.compute import service as compute
from gongshu.compute.adapters import ledger as shelf
from gongshu.compute.service import weighing
from gongshu.compute.types import Definition, JobStatus, Trace
from tests.governed_site import DEVELOPER, ENTITLEMENT, parquet_rows, settle

REGION = 'SELECT count(*) AS n, sum("注册资本") AS capital FROM enterprise WHERE "地区" = \'地区1\''
BUT_ONE = REGION + " AND \"注册日期\" <> DATE '2010-03-08'"
"""The enterprise number 6 of 地区1 alone was founded on that day."""


def run(site, sql):
    job = compute.submit_sql(site, DEVELOPER, EntitlementId(ENTITLEMENT), "统计", sql)
    return compute.run_job(site, job.id)


def rows_of(site, job):
    assert job.status is JobStatus.SUCCEEDED, job.failure_code
    return parquet_rows(compute.output_folder(site, job) / "result.parquet")


def test_all_but_one_is_withheld_after_all_and_all_after_all_but_one(site):
    settle(site)
    first = run(site, REGION)
    assert rows_of(site, first)[0][0] >= 50
    assert weighing.LEDGER_LINE in first.report.defences
    second = run(site, BUT_ONE)
    assert rows_of(site, second) == []
    assert second.report.some_withheld


def test_without_the_first_job_the_second_one_is_answered_and_the_first_withheld(site):
    settle(site)
    assert rows_of(site, run(site, BUT_ONE))[0][0] >= 50
    assert rows_of(site, run(site, REGION)) == []


def test_the_same_groups_are_shown_as_often_as_they_are_asked_for(site):
    settle(site)
    answers = [rows_of(site, run(site, sql)) for sql in (REGION, REGION, REGION + " AND TRUE")]
    assert answers[0] == answers[1] == answers[2] != []


def test_only_the_group_that_is_too_near_is_withheld(site):
    settle(site)
    run(site, REGION)
    by_region = rows_of(site, run(site, "SELECT \"地区\" AS r, count(*) AS n FROM enterprise WHERE \"注册日期\" <> DATE '2010-03-08' GROUP BY \"地区\" ORDER BY r"))  # fmt: skip
    assert [row[0] for row in by_region] == ["地区0", "地区2", "地区3", "地区4"]


def test_the_ledger_holds_hashes_that_nobody_else_can_read(site):
    settle(site)
    job = run(site, REGION)
    (version,) = job.plan.inputs
    (kept,) = (site.home / "ledger" / version.id).iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    rows = parquet_rows(kept)
    members, shown = [row for row in rows if row[0] is not None], [row for row in rows if row[0] is None]
    assert {tuple(type(cell) for cell in row[:3]) for row in members} == {(int, int, float)}
    assert len(shown) == 1
    assert "地区" not in str(shown), "a definition is kept as a digest"
    assert not list((site.home / "outputs" / job.id).glob("*set*"))
    assert not list((site.home / "work").glob("*"))


def test_what_will_never_be_shown_is_forgotten(site):
    settle(site)
    compute.forget_groups(site, run(site, REGION).id)
    assert rows_of(site, run(site, BUT_ONE)) != []


def test_a_version_of_which_enough_was_released_gives_no_more(site, monkeypatch):
    settle(site)
    number = type(site.parameters).number

    def few(parameters, key, today):
        return 1 if key == "ledger.sets_max" else number(parameters, key, today)

    monkeypatch.setattr(type(site.parameters), "number", few)
    run(site, REGION)
    refused = run(site, REGION.replace("地区1", "地区2"))
    assert (refused.status, refused.failure_code) == (JobStatus.FAILED, "sets-spent")


def test_a_job_beside_which_another_one_ended_is_run_again(site, monkeypatch):
    """Both would have been harmless when they started; the one that ends later is laid beside the other."""
    settle(site)
    from gongshu.compute.service import running

    execute, others = running._execute, []

    def overtaken(site_, job, governed, place, clock):
        done = execute(site_, job, governed, place, clock)
        if not others:
            others.append(job)
            run(site, BUT_ONE)
        return done

    monkeypatch.setattr(running, "_execute", overtaken)
    assert rows_of(site, run(site, REGION)) == []


def test_a_set_is_shown_again_by_its_own_definition_and_by_no_other(site):
    """A filter that drops nobody: that it does would be told by showing the same figure."""
    settle(site)
    shown = rows_of(site, run(site, REGION))
    assert rows_of(site, run(site, REGION + " AND \"注册日期\" > DATE '1900-01-01'")) == []
    by_region = rows_of(site, run(site, 'SELECT "地区", count(*) FROM enterprise GROUP BY "地区" ORDER BY "地区"'))
    assert by_region[1] == ("地区1", shown[0][0]), "the same group, as a group key"


def test_groups_that_a_cluster_hashed_are_laid_beside_each_other_too(tmp_path):
    """Its hashes have a sign."""
    definition = Definition("rows", ("key",), is_box=True)
    traces = (Trace("stage:1", 1, "", (definition,)),)
    wholes, decisions = {"g": -5, "h": "1"}, weighing.RULES
    limits = shelf.Limits(10, 100, 15)
    for number, people, expected in ((0, range(1, 31), {}), (1, range(1, 30), {0: (-5,)}), (2, range(1, 31), {})):
        trace, target = tmp_path / f"trace{number}.parquet", tmp_path / f"sets{number}.parquet"
        rows = duckdb.sql(
            "SELECT 0 AS s, CAST($g AS BIGINT) AS g, 0 AS c, CAST(u AS UBIGINT) AS u, 1 AS r, $h AS h "
            "FROM range($first, $last) AS t(u)",
            params={**wholes, "first": people.start, "last": people.stop},
        )
        rows.write_parquet(str(trace))
        earlier = sorted(tmp_path.glob("sets*.parquet"))
        assert shelf.weigh(trace, traces, earlier, None, limits, target, decisions).groups == expected, number
