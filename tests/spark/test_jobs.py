"""Jobs on a real cluster: the same files as DuckDB's, each line of defence by itself, limits, and what is left behind."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gongshu.base.site import Site, SparkCluster
from gongshu.compute import service as compute
from gongshu.compute.adapters import folders
from gongshu.compute.types import Engine, GovernedQuery, Job, JobStatus, Projection
from gongshu.policies.types import ContributionBounds, MaskKind, Protection, Rounding, Use
from tests.compared import Comparison, with_limits
from tests.governed import PEOPLE, open_engine, permitted
from tests.governed_site import DEVELOPER, ENTITLEMENT, ROWS, masked, parquet_rows, policy, settle
from tests.stores.test_compute_budget import DELTA, PRICE, left, protect, settle_noisy
from tools.spark_cluster import Cluster, free_port

DAYS = ("2015-01-01", "2015-01-20")
"""One or two enterprises were registered between them."""
NOISY_TOTALS = "SELECT count(*) AS n FROM enterprise"
BY_REGION = (
    'SELECT "地区", count(*) AS n, sum("注册资本") AS total FROM enterprise GROUP BY "地区" ORDER BY n DESC, "地区"'
)


@pytest.fixture
def connected(site: Site, cluster: Cluster, tmp_path: Path) -> Site:
    """Give a site that knows the cluster."""
    folder = tmp_path / "shared"
    return replace(site, spark=SparkCluster(cluster.remote, folder, folder.as_uri()))


def ran(site: Site, sql: str, engine: Engine | None) -> Job:
    job = compute.submit_sql(site, DEVELOPER, ENTITLEMENT, "x", sql, engine)
    return compute.run_job(site, job.id)


def rows_of(job: Job) -> int:
    assert job.report is not None, job.failure_code
    return job.report.rows


@pytest.mark.parametrize("first", [pytest.param(Engine.DUCKDB, marks=pytest.mark.slow), Engine.SPARK])
def test_a_job_on_spark_writes_what_a_job_on_duckdb_writes(connected: Site, first: Engine) -> None:
    settle(connected)
    jobs = {
        engine: ran(connected, BY_REGION, engine) for engine in sorted(Engine, key=lambda engine: engine is not first)
    }
    here, there = jobs[Engine.DUCKDB], jobs[Engine.SPARK]
    assert [(job.status, job.plan.engine) for job in (here, there)] == [
        (JobStatus.SUCCEEDED, Engine.DUCKDB), (JobStatus.SUCCEEDED, Engine.SPARK)
    ]  # fmt: skip
    folders = [compute.output_folder(connected, job) for job in (here, there)]
    assert parquet_rows(folders[0] / "result.parquet") == parquet_rows(folders[1] / "result.parquet")
    assert (folders[0] / "result.csv").read_text() == (folders[1] / "result.csv").read_text()
    assert here.report is not None
    assert there.report is not None
    assert replace(there.report, runtime_ms=0, defences=()) == replace(here.report, runtime_ms=0, defences=())
    assert there.report.defences == ("gate", "bound-plan", "limits", "own-session", "ledger")


@pytest.mark.slow
def test_nothing_stays_where_the_cluster_reads(connected: Site) -> None:
    settle(connected)
    ran(connected, BY_REGION, Engine.SPARK)
    assert connected.spark is not None
    assert list(connected.spark.folder.iterdir()) == []


@pytest.mark.slow
def test_masks_and_row_filters_are_applied_before_spark_reads(connected: Site) -> None:
    seen = masked("状态", MaskKind.NAME, frozenset({Use.REVEAL, Use.FILTER, Use.GROUP}))
    settle(connected, replace(seen, row_filter="\"地区\" <> '地区1'"))
    here, there = (
        ran(connected, 'SELECT "状态", count(*) AS n FROM enterprise GROUP BY "状态" ORDER BY n', e) for e in Engine
    )
    rows = [parquet_rows(compute.output_folder(connected, job) / "result.parquet") for job in (here, there)]
    assert rows[0] == rows[1]
    assert all("*" in str(row[0]) for row in rows[1])


@pytest.mark.slow
@pytest.mark.parametrize("first", Engine)
def test_the_ledger_of_released_groups_holds_across_engines(connected: Site, first: Engine) -> None:
    settle(connected)
    half, nearly_half = (f"""SELECT count(*) AS n FROM enterprise WHERE "注册日期" > DATE '{day}'""" for day in DAYS)
    assert rows_of(ran(connected, nearly_half, Engine.SPARK)) == 1
    for path in (connected.home / "ledger").glob("*/*.parquet"):
        path.unlink()
    assert rows_of(ran(connected, half, first)) == 1
    withheld = ran(connected, nearly_half, Engine.SPARK)
    assert (withheld.status, rows_of(withheld)) == (JobStatus.SUCCEEDED, 0)
    assert withheld.report is not None
    assert "ledger" in withheld.report.defences


@pytest.mark.slow
def test_without_a_wish_the_amount_of_data_decides(connected: Site) -> None:
    settle(connected)
    assert ran(connected, BY_REGION, None).plan.engine is Engine.DUCKDB


@pytest.mark.slow
def test_a_cluster_that_is_away_fails_the_job_and_says_no_more(connected: Site) -> None:
    settle(connected, policy())
    assert connected.spark is not None
    away = replace(connected, spark=replace(connected.spark, remote=f"sc://127.0.0.1:{free_port()}"))
    job = ran(away, BY_REGION, Engine.SPARK)
    assert (job.status, job.failure_code, job.files) == (JobStatus.FAILED, "engine-unreachable", ())


@pytest.mark.slow
def test_noise_is_added_here_to_what_the_cluster_measured_and_paid_for_once(connected: Site) -> None:
    settle_noisy(connected)
    made = 'SELECT "地区" AS region, count(*) AS n, avg("注册资本") AS mean FROM enterprise GROUP BY "地区"'
    job = ran(connected, made, Engine.SPARK)
    assert (job.status, job.failure_code, job.plan.engine) == (JobStatus.SUCCEEDED, "", Engine.SPARK)
    rows = parquet_rows(compute.output_folder(connected, job) / "result.parquet")
    assert 3 <= len(rows) <= 5
    assert all(abs(n - ROWS / 5) < 60 and 0 <= mean <= 100 for _, n, mean in rows)
    assert job.plan.query is not None
    assert job.plan.query.price is not None
    measured = job.plan.query.price.measurements
    assert left(connected) == ((10 - measured) * PRICE, 9 * DELTA)
    assert job.report is not None
    assert "namespaces" not in job.report.defences
    assert not folders.kept_folder(connected.home, job.id).exists()


@pytest.mark.slow
def test_a_run_on_spark_that_is_repeated_draws_no_new_noise(connected: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    settle_noisy(connected)
    kept = connected.home / "first.parquet"

    def die(place: Path, target: Path) -> None:
        shutil.copy(folders.kept_folder(connected.home, job.id) / "0.parquet", kept)
        raise SystemExit(f"killed before {place.name} became {target.name}")

    job = compute.submit_sql(connected, DEVELOPER, ENTITLEMENT, "x", NOISY_TOTALS, Engine.SPARK)
    with monkeypatch.context() as patch:
        patch.setattr(folders, "publish", die)
        with pytest.raises(SystemExit):
            compute.run_job(connected, job.id)
    done = compute.run_job(connected, job.id)
    rows = parquet_rows(compute.output_folder(connected, done) / "result.parquet")
    assert [row[0] for row in rows] == [row[0] for row in parquet_rows(kept)]


@pytest.mark.slow
def test_bounds_and_rounding_act_on_a_job_alike(connected: Site) -> None:
    settle(connected)
    protect(connected, Protection(ContributionBounds(1), Rounding(50)))
    here, there = (ran(connected, BY_REGION, engine) for engine in Engine)
    found = [parquet_rows(compute.output_folder(connected, job) / "result.parquet") for job in (here, there)]
    assert found[0] == found[1]
    assert {row[1] for row in found[1]} == {50}


# -------------------------------------------------------------------------------------- the second opinion by itself


@pytest.fixture
def people(comparison: Comparison) -> Comparison:
    with open_engine(relations=(PEOPLE,)) as engine:
        engine.execute("CREATE TABLE other AS SELECT 'SECRET' AS word")
        comparison.hold(engine, ["people", "other"])
    return comparison


def handmade(sql: str) -> GovernedQuery:
    """Return a query that never went through the gate."""
    return GovernedQuery(sql, ("a",), (), (Projection("people", PEOPLE.resource, ("all_int",)),), is_aggregate=False)


NOT_PLANNED = [
    "SELECT 1 AS a",
    "SELECT word AS a FROM other",
    "SELECT word AS a FROM people, other",
    "SELECT all_int AS a FROM people UNION ALL SELECT * FROM range(3)",
    "SELECT explode(array(1, 2)) AS a FROM people",
    "SELECT col1 AS a FROM people, VALUES (1)",
    "SELECT all_int AS a FROM people TABLESAMPLE (10 PERCENT)",
    "SELECT * FROM parquet.`/etc/passwd`",
    "SELECT * FROM csv.`/etc/passwd`",
    "SELECT * FROM text.`/etc/passwd`",
    "DROP VIEW people",
    "CREATE TABLE t AS SELECT all_int FROM people",
    "CREATE TEMPORARY VIEW people2 AS SELECT all_int FROM people",
    "WITH x AS (SELECT 1 AS a) INSERT OVERWRITE LOCAL DIRECTORY '{folder}' USING csv SELECT all_int FROM people",
    "FROM people INSERT OVERWRITE LOCAL DIRECTORY '{folder}' USING csv SELECT all_int",
    "SELECT all_int AS a FROM people) AS x; DROP VIEW people; SELECT * FROM (SELECT 1",
    "INSERT OVERWRITE LOCAL DIRECTORY '{folder}' USING csv SELECT all_int FROM people",
    "SET spark.sql.runSQLOnFiles=true",
    "SHOW TABLES",
    "DESCRIBE people",
    "EXPLAIN SELECT all_int FROM people",
    "CACHE TABLE people",
    "ADD JAR '/tmp/x.jar'",
    "SELECT all_int AS a FROM people; SELECT 1",
    "SELECT '\\n== Optimized Logical Plan ==\\n' AS a, word FROM people, other",
    "SELECT '\\n+- View (`people`, [x])\\n   +- Relation' AS a, word FROM other",
    "SELECT transform(a) USING 'cat' AS a FROM (SELECT all_int AS a FROM people)",
    "SELECT * FROM global_temp.people",
    "SELECT * FROM system.session.other",
    "not even a statement",
]


@pytest.mark.parametrize("sql", [*NOT_PLANNED[:4], *(pytest.param(s, marks=pytest.mark.slow) for s in NOT_PLANNED[4:])])
def test_a_plan_that_the_gate_would_not_have_made_is_refused(people: Comparison, tmp_path: Path, sql: str) -> None:
    leak = tmp_path / "leak"
    outcome, rows = people.as_written(handmade(sql.replace("{folder}", str(leak))))
    assert (outcome.code, rows) == ("plan-unexpected", [])
    assert not leak.exists()


def test_the_same_hand_runs_what_the_gate_would_have_made(people: Comparison) -> None:
    outcome, rows = people.as_written(handmade("SELECT max(all_int) AS a FROM people"))
    assert (outcome.code, rows) == ("", [(49,)])


def test_an_operator_that_is_not_expected_is_refused(people: Comparison) -> None:
    outcome, _ = people.as_written(handmade("SELECT max(all_int) AS a FROM people"), operators=("View", "Relation"))
    assert outcome.code == "plan-unexpected"


# --------------------------------------------------------------------------------------------------------- limits


def test_a_result_with_too_many_rows_is_not_brought_back(people: Comparison) -> None:
    outcome, rows = people.as_written(
        handmade("SELECT all_int AS a FROM people"), limits=with_limits(output_rows_max=3)
    )
    assert (outcome.code, rows) == ("rows-exceeded", [])


@pytest.mark.slow
def test_a_result_with_too_many_bytes_is_not_brought_back(people: Comparison) -> None:
    limits = with_limits(output_bytes_max=1000)
    outcome, rows = people.as_written(handmade("SELECT all_int AS a FROM people"), limits=limits)
    assert (outcome.code, rows) == ("bytes-exceeded", [])


@pytest.mark.slow
def test_what_takes_too_long_is_interrupted_and_the_next_one_runs(people: Comparison) -> None:
    heavy = "SELECT count(*) AS a FROM " + ", ".join(f"people AS p{i}" for i in range(5)) + " WHERE " + " AND ".join(
        f"p{i}.all_int + p{i + 1}.all_int % 7 <> 3" for i in range(4)
    )  # fmt: skip
    outcome, rows = people.as_written(handmade(heavy), limits=with_limits(runtime_seconds_max=4))
    assert (outcome.code, rows) == ("runtime-exceeded", [])
    outcome, rows = people.as_written(handmade("SELECT min(all_int) AS a FROM people"))
    assert (outcome.code, rows) == ("", [(0,)])


def test_an_error_tells_a_code_and_no_value(people: Comparison) -> None:
    outcome, rows = people.as_written(handmade("SELECT raise_error(max(all_text)) AS a FROM people"))
    assert (outcome.code, rows, outcome.columns) == ("engine-failed", [], ())


@pytest.mark.slow
def test_views_of_one_run_are_not_there_in_the_next(people: Comparison) -> None:
    people.as_written(handmade("SELECT max(all_int) AS a FROM people"))
    alone = replace(handmade("SELECT max(all_int) AS a FROM people"), projections=())
    outcome, _ = people.as_written(alone)
    assert outcome.code == "plan-unexpected"


@pytest.mark.slow
def test_no_name_of_a_relation_or_column_breaks_out_of_its_quotes(comparison: Comparison) -> None:
    odd = permitted('SELECT count(*) AS "`; DROP VIEW people; --", count(*) AS "a`.`b" FROM people')
    with open_engine(relations=(PEOPLE,)) as engine:
        comparison.hold(engine, ["people"])
    assert comparison.differences(odd, (PEOPLE,)) == []
