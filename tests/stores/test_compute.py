"""Jobs on both stores: submitted by the gate's leave, run once, stopped with their grant, safe to kill at any moment."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gongshu.access.types import SYSTEM
from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.ids import EntitlementId, GrantId
from gongshu.base.paging import PageRequest
from gongshu.compute import service as compute
from gongshu.compute.adapters import folders, sandbox
from gongshu.compute.rules.synthetic import credit_code
from gongshu.compute.types import JobStatus, VerificationDefinition, VerificationField
from gongshu.metering.types import ResultCode
from gongshu.policies.types import MaskKind, Use
from gongshu.scenarios import store as scenarios_store
from tests.governed_site import (
    AUDITOR,
    DEVELOPER,
    ENTITLEMENT,
    OPERATOR,
    ROWS,
    SMALL_REGION,
    STRANGER,
    masked,
    parquet_rows,
    policy,
    settle,
)

BY_REGION = (
    'SELECT "地区" AS region, count(*) AS n, sum("注册资本") AS capital FROM enterprise GROUP BY "地区" ORDER BY region'
)
DEFINITION = VerificationDefinition(
    "enterprise",
    (
        VerificationField("code", "信用代码", is_required=True, is_key=True),
        VerificationField("name", "企业名称", is_required=True),
        VerificationField("person", "法定代表人", is_required=False),
        VerificationField("since", "注册日期", is_required=False),
    ),
)


def entries(site, outcome=""):
    return list(reversed(audit.list_entries(site, AUDITOR, PageRequest(200), outcome=outcome).rows))


def actions(site):
    return [entry.action for entry in entries(site)]


def codes(call):
    with pytest.raises(Refused) as caught:
        call()
    return [reason.code for reason in caught.value.reasons]


def submit(site, sql=BY_REGION):
    return compute.submit_sql(site, DEVELOPER, ENTITLEMENT, "企业区域分布", sql)


def test_a_statement_runs_on_real_data_and_small_groups_are_withheld(site):
    version = settle(site)
    job = submit(site)
    assert (job.status, job.plan.inputs) == (JobStatus.SUBMITTED, (version.ref,))
    assert compute.waiting_jobs(site) == (job.id,)
    done = compute.run_job(site, job.id)
    assert (done.status, done.failure_code) == (JobStatus.SUCCEEDED, "")
    assert [file.name for file in done.files] == ["result.parquet", "result.csv"]
    rows = parquet_rows(compute.output_folder(site, done) / "result.parquet")
    assert [row[0] for row in rows] == [f"地区{i}" for i in range(5)]
    assert sum(row[1] for row in rows) == ROWS - 4
    assert SMALL_REGION not in (compute.output_folder(site, done) / "result.csv").read_text()
    assert (done.report.some_withheld, done.report.groups_withheld) == (True, None)
    assert {"gate", "bound-plan", "limits"} <= set(done.report.defences)
    assert actions(site) == ["job.submit", "job.run", "job.succeed"]
    assert version.ref in entries(site)[-1].origins
    assert not list((site.home / "work").iterdir())


def test_running_again_changes_nothing(site):
    settle(site)
    job = submit(site)
    done = compute.run_job(site, job.id)
    before = actions(site)
    assert compute.run_job(site, job.id) == done
    assert actions(site) == before


def test_a_refused_statement_is_audited_and_leaves_no_job(site):
    settle(site)
    assert codes(lambda: submit(site, 'SELECT "企业名称" FROM enterprise')) == ["reveal-missing"]
    assert codes(lambda: compute.submit_sql(site, DEVELOPER, ENTITLEMENT, " ", 'SELECT "企业名称" FROM enterprise')) == [
        "reveal-missing", "job-title-missing",
    ]  # fmt: skip
    assert [entry.action for entry in entries(site, "denied")] == ["job.submit", "job.submit"]
    assert compute.list_jobs(site, DEVELOPER).rows == ()


def test_an_entitlement_of_somebody_else_does_not_exist(site):
    settle(site)
    assert codes(lambda: compute.submit_sql(site, STRANGER, ENTITLEMENT, "x", BY_REGION)) == ["not-found"]
    assert codes(lambda: compute.explain(site, STRANGER, ENTITLEMENT, BY_REGION)) == ["not-found"]
    assert codes(lambda: compute.synthetic_rows(site, STRANGER, ENTITLEMENT, "enterprise", 1, 5)) == ["not-found"]
    assert codes(lambda: compute.try_on_synthetic(site, STRANGER, EntitlementId("none"), BY_REGION)) == ["not-found"]
    assert codes(lambda: compute.submit_sql(site, OPERATOR, ENTITLEMENT, "x", BY_REGION)) == ["permission-missing"]


def test_who_sees_a_job(site):
    settle(site)
    job = submit(site)
    assert [compute.get_job(site, who, job.id) for who in (DEVELOPER, OPERATOR, AUDITOR)] == [job] * 3
    assert codes(lambda: compute.get_job(site, STRANGER, job.id)) == ["not-found"]
    assert compute.list_jobs(site, STRANGER).rows == ()
    assert compute.list_jobs(site, OPERATOR).rows == (job,)


def test_explaining_runs_nothing_and_leaves_an_entry(site):
    settle(site)
    found = compute.explain(site, DEVELOPER, ENTITLEMENT, BY_REGION)
    assert found.permitted
    assert found.query.projections[0].columns == ("地区", "注册资本")
    refused = compute.explain(site, SYSTEM, ENTITLEMENT, 'SELECT max("注册资本") FROM enterprise')
    assert [reason.code for reason in refused.reasons] == ["rank-missing"]
    assert actions(site) == ["sql.explain", "sql.explain"]


def test_a_job_under_an_ended_entitlement_is_stopped_not_run(site):
    settle(site)
    job = submit(site)
    with site.db.transaction() as tx:
        entitlement = scenarios_store.ENTITLEMENTS.get(tx, ENTITLEMENT)
        period = replace(entitlement.period, end=site.now() - timedelta(seconds=1))
        scenarios_store.ENTITLEMENTS.save(tx, entitlement, replace(entitlement, period=period))
    stopped = compute.run_job(site, job.id)
    assert stopped.status is JobStatus.STOPPED
    assert not compute.output_folder(site, job).exists()
    assert actions(site)[-1] == "job.stop"
    assert len(codes(lambda: submit(site))) == 1


def test_the_end_of_a_grant_stops_jobs_that_wait_and_throws_away_what_runs(site, monkeypatch):
    settle(site)
    waiting, running = submit(site), submit(site, BY_REGION + " DESC")
    grant = GrantId("grant-1")
    run_engine = sandbox.run_engine

    def ended_meanwhile(*arguments):
        outcome = run_engine(*arguments)
        with site.db.transaction() as tx:
            disposals = compute.stop_under_in(tx, site, AUDITOR, grant, "到期")
        assert {disposal.ref for disposal in disposals} == {waiting.ref, running.ref}
        return outcome

    monkeypatch.setattr(sandbox, "run_engine", ended_meanwhile)
    assert compute.run_job(site, running.id).status is JobStatus.STOPPED
    assert not compute.output_folder(site, running).exists()
    assert compute.waiting_jobs(site) == ()


class Killed(BaseException):
    """Stands for a worker that is killed: nothing catches it."""


@pytest.mark.parametrize("moment", ["before the engine", "after the engine", "after the rename"])
def test_a_worker_killed_at_any_moment_loses_nothing_and_doubles_nothing(site, monkeypatch, moment):
    settle(site)
    job = submit(site)

    def kill(after):
        def act(*arguments, **named):
            after(*arguments, **named)
            raise Killed

        return act

    with monkeypatch.context() as patched:
        if moment == "before the engine":
            patched.setattr(sandbox, "run_engine", kill(lambda *_: None))
        elif moment == "after the engine":
            patched.setattr(folders, "describe", kill(folders.describe))
        else:
            patched.setattr(folders, "publish", kill(folders.publish))
        with pytest.raises(Killed):
            compute.run_job(site, job.id)
    assert compute.waiting_jobs(site) == (job.id,)
    done = compute.run_job(site, job.id)
    assert done.status is JobStatus.SUCCEEDED
    assert actions(site).count("job.succeed") == actions(site).count("job.run") == 1
    assert sorted(path.name for path in compute.output_folder(site, done).iterdir()) == ["result.csv", "result.parquet"]


def test_a_job_whose_data_changed_on_disk_fails_by_code(site):
    settle(site)
    job = submit(site)
    path = site.home / "data" / "resource-1" / "v1" / "part-0001.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    failed = compute.run_job(site, job.id)
    assert failed.status is JobStatus.FAILED
    assert failed.failure_code
    assert actions(site)[-1] == "job.fail"
    assert not compute.output_folder(site, job).exists()


def test_the_row_filter_hides_rows_before_anything_is_computed(site):
    settle(site, policy(row_filter="地区 <> '地区1' AND 状态 = '存续'"))
    done = compute.run_job(site, submit(site, "SELECT 地区 AS r, count(*) AS n FROM enterprise GROUP BY 地区").id)
    assert {row[0] for row in parquet_rows(compute.output_folder(site, done) / "result.parquet")} == {
        "地区0", "地区2", "地区3", "地区4",
    }  # fmt: skip


def test_a_row_filter_that_cannot_be_read_refuses_the_statement(site):
    settle(site, policy(row_filter="地区 = (SELECT 1"))
    with pytest.raises(Refused) as refused:
        submit(site)
    assert refused.value.reasons[0].code == "row-filter-invalid"


@pytest.mark.parametrize("cipher", ["", "aes", "sm4"])
def test_a_pseudonym_keeps_the_format_and_the_number_of_different_values(site, cipher):
    uses = frozenset({Use.REVEAL, Use.GROUP})
    settle(site, masked("信用代码", MaskKind.PSEUDONYM, uses, parameter=cipher))
    done = compute.run_job(site, submit(site, "SELECT 信用代码 AS c FROM enterprise").id)
    shown = [row[0] for row in parquet_rows(compute.output_folder(site, done) / "result.parquet")]
    real = {credit_code(i) for i in range(ROWS)}
    assert len(shown) == len(set(shown)) == ROWS
    assert not real & set(shown)
    assert {len(code) for code in shown} == {18}


def test_masks_are_applied_before_the_engine_starts(site):
    settle(site, masked("企业名称", MaskKind.NAME, frozenset({Use.GROUP, Use.COMPARE})))
    done = compute.run_job(
        site, submit(site, "SELECT 企业名称 AS n, count(*) AS c FROM enterprise GROUP BY 企业名称").id
    )
    rows = parquet_rows(compute.output_folder(site, done) / "result.parquet")
    assert rows
    assert all(set(str(row[0])) == {"示", "*"} for row in rows)


# --------------------------------------------------------------------------------------------------- verification


def verify(site):
    job = compute.submit_verification(site, DEVELOPER, ENTITLEMENT, "企业核验", DEFINITION)
    return compute.run_job(site, job.id)


def test_a_verification_answers_match_mismatch_and_no_record(site):
    settle(site)
    done = verify(site)
    assert done.status is JobStatus.SUCCEEDED
    definition = done.plan.verification
    ask = compute.open_lookup(compute.output_folder(site, done) / "verification.lmdb", definition, site.keys)
    five, seven = credit_code(5), credit_code(7)
    assert ask({"code": five, "name": "示例（5）公司"}) is ResultCode.MATCH
    assert ask({"code": five.lower() + " ", "name": "示例(5) 公司", "person": "赵5"}) is ResultCode.MATCH
    assert ask({"code": five, "name": "示例（5）公司", "person": "钱5"}) is ResultCode.MISMATCH
    assert ask({"code": five, "name": "别家"}) is ResultCode.MISMATCH
    assert (
        ask({"code": seven, "name": "示例（7）公司", "person": "赵7"}) is ResultCode.MISMATCH
    )  # absent: equals nothing
    assert ask({"code": credit_code(10**6), "name": "示例（5）公司"}) is ResultCode.NO_RECORD
    assert ask({"code": five, "name": "示例（5）公司", "since": "2010年2月25日"}) is ResultCode.MATCH
    assert ask({"code": five, "name": " "}) is ResultCode.ERROR
    assert compute.missing_fields(definition, {"code": five, "odd": "x"}) == ("name", "odd")


def test_the_artifact_holds_hashes_of_one_length_and_no_value(site):
    settle(site)
    done = verify(site)
    raw = (compute.output_folder(site, done) / "verification.lmdb").read_bytes()
    for text in ("示例", "赵5", "9199999"):
        assert text.encode() not in raw
    assert done.files[0].rows == ROWS + 1  # one header entry
    assert done.report.rows == ROWS


def test_the_same_plan_makes_the_same_artifact_and_another_plan_another(site):
    settle(site)
    first, second = verify(site), verify(site)
    assert first.plan == second.plan
    assert first.files[0].sha256 == second.files[0].sha256
    fields = tuple(replace(field, is_required=True) for field in DEFINITION.fields)
    other = compute.submit_verification(site, DEVELOPER, ENTITLEMENT, "另一个", replace(DEFINITION, fields=fields))
    assert compute.run_job(site, other.id).files[0].sha256 != first.files[0].sha256


def test_a_verification_needs_compare_on_every_column_and_is_audited_when_refused(site):
    settle(site)
    fields = (*DEFINITION.fields, VerificationField("capital", "注册资本", is_required=False))
    definition = replace(DEFINITION, fields=fields)
    submit = lambda: compute.submit_verification(site, DEVELOPER, ENTITLEMENT, "x", definition)  # noqa: E731
    assert codes(submit) == ["compare-missing"]
    assert [entry.action for entry in entries(site, "denied")] == ["job.submit"]


# ------------------------------------------------------------------------------------------------- synthetic rows


def test_synthetic_rows_are_the_same_for_the_same_seed_and_hold_no_value(site):
    settle(site)
    columns, rows = compute.synthetic_rows(site, DEVELOPER, ENTITLEMENT, "enterprise", 7, 50)
    assert columns[0] == "信用代码"
    assert len(rows) == 50
    assert compute.synthetic_rows(site, DEVELOPER, ENTITLEMENT, "enterprise", 7, 50) == (columns, rows)
    assert compute.synthetic_rows(site, DEVELOPER, ENTITLEMENT, "enterprise", 8, 50) != (columns, rows)
    assert "地区1" not in str(rows)
    assert codes(lambda: compute.synthetic_rows(site, DEVELOPER, ENTITLEMENT, "nobody", 1, 5)) == ["relation-unknown"]


def test_the_same_statement_runs_unchanged_on_synthetic_rows(site):
    settle(site)
    columns, rows = compute.try_on_synthetic(site, DEVELOPER, ENTITLEMENT, BY_REGION)
    assert columns == ("region", "n", "capital")
    assert rows
    assert all(row[1] >= 10 for row in rows)
    assert codes(lambda: compute.try_on_synthetic(site, DEVELOPER, ENTITLEMENT, "SELECT 企业名称 FROM enterprise")) == [
        "reveal-missing"
    ]
    assert actions(site) == ["sql.try", "sql.try"]


# ---------------------------------------------------------------------------------------------- derived relations


def test_a_derived_relation_is_read_by_later_statements_until_it_is_dropped(site):
    settle(site)
    sql = "SELECT 地区 AS r, 注册资本 AS c FROM enterprise WHERE 状态 = '存续'"
    made = compute.create_derived(site, DEVELOPER, ENTITLEMENT, "living", sql)
    assert [column.name for column in made.columns] == ["r", "c"]
    assert compute.list_derived(site, DEVELOPER, ENTITLEMENT).rows == (made,)
    statement = "SELECT r, count(*) AS n, sum(c) AS s FROM living GROUP BY r ORDER BY r"
    plain = f"SELECT r, count(*) AS n, sum(c) AS s FROM ({sql}) AS l GROUP BY r ORDER BY r"
    results = [compute.run_job(site, submit(site, text).id) for text in (statement, plain)]
    first, second = (parquet_rows(compute.output_folder(site, job) / "result.parquet") for job in results)
    assert first == second
    assert first
    assert compute.try_on_synthetic(site, DEVELOPER, ENTITLEMENT, statement)[0] == ("r", "n", "s")
    compute.drop_derived(site, DEVELOPER, ENTITLEMENT, "living")
    assert codes(lambda: submit(site, statement))[0] == "relation-unknown"
    assert codes(lambda: compute.drop_derived(site, DEVELOPER, ENTITLEMENT, "living")) == ["not-found"]
    compute.create_derived(site, DEVELOPER, ENTITLEMENT, "living", sql)  # the name is free again
    assert actions(site).count("derived.create") == 2
    assert actions(site).count("derived.drop") == 2


def test_a_derived_relation_belongs_to_its_entitlement_and_its_refusals_are_audited(site):
    settle(site)
    assert codes(lambda: compute.create_derived(site, STRANGER, ENTITLEMENT, "x", "SELECT 1 AS a")) == ["not-found"]
    assert codes(lambda: compute.list_derived(site, STRANGER, ENTITLEMENT)) == ["not-found"]
    assert codes(lambda: compute.create_derived(site, DEVELOPER, ENTITLEMENT, "enterprise", "SELECT 1 AS a")) == [
        "name-repeated"
    ]
    assert [entry.action for entry in entries(site, "denied")] == ["derived.create", "derived.create"]
