"""The noise budget: charged once and before the run, never below zero, not to be had again by tricks."""

import threading
from dataclasses import replace

import duckdb
import pytest
from sqlalchemy.exc import IntegrityError

from gongshu.access.types import Role
from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.paging import PageRequest
from gongshu.compute import service as compute
from gongshu.compute import store as compute_store
from gongshu.compute.adapters import folders, sandbox
from gongshu.compute.service import budgets
from gongshu.compute.types import JobStatus, VerificationDefinition, VerificationField
from gongshu.policies.types import Clamp, ContributionBounds, Noise, NoiseMechanism, Protection, Rounding
from gongshu.scenarios import store as scenarios_store
from gongshu.server.database import ControlDatabase
from tests import samples
from tests.governed_site import AUDITOR, DEVELOPER, ENTITLEMENT, RESOURCE, ROWS, STRANGER, parquet_rows, settle

BY_REGION = 'SELECT "地区" AS region, count(*) AS n, sum("注册资本") AS capital FROM enterprise GROUP BY "地区"'
COUNTED = "SELECT count(*) AS n FROM enterprise"
PRICE, DELTA = 500, 1000
NOISE = Noise(NoiseMechanism.LAPLACE, PRICE, DELTA, 10 * PRICE, 10 * DELTA, (Clamp(RESOURCE, "注册资本", 0, 100),))
AGENCY = samples.actor(samples.AGENCY, Role.IMPLEMENTING_AGENCY)


def protect(site, protection):
    """State the protection of the entitlement as an approval would have done."""
    with site.db.transaction() as tx:
        before = scenarios_store.ENTITLEMENTS.get(tx, ENTITLEMENT)
        after = replace(before, thresholds=replace(before.thresholds, protection=protection))
        scenarios_store.ENTITLEMENTS.save(tx, before, after)


def settle_noisy(site, noise=NOISE):
    settle(site)
    protect(site, Protection(ContributionBounds(1, 1), noise=noise))


def submit(site, sql=BY_REGION):
    return compute.submit_sql(site, DEVELOPER, ENTITLEMENT, "加噪统计", sql)


def left(site):
    budget = compute.read_budget(site, DEVELOPER, ENTITLEMENT).budget
    return budget.epsilon_milli_left, budget.delta_pico_left


def codes(call):
    with pytest.raises(Refused) as caught:
        call()
    return [reason.code for reason in caught.value.reasons]


def entries(site, action):
    found = audit.list_entries(site, AUDITOR, PageRequest(200)).rows
    return [entry for entry in found if entry.action == action]


def result(site, job):
    return parquet_rows(compute.output_folder(site, job) / "result.parquet")


def test_a_statement_with_noise_is_paid_before_it_runs_and_answers_nearly(sqlite_site):
    site = sqlite_site
    settle_noisy(site)
    assert left(site) == (10 * PRICE, 10 * DELTA)
    job = submit(site)
    assert (job.plan.query.price.measurements, left(site)) == (3, (7 * PRICE, 9 * DELTA))
    done = compute.run_job(site, job.id)
    assert (done.status, done.failure_code) == (JobStatus.SUCCEEDED, "")
    rows = result(site, done)
    assert {row[0] for row in rows} <= {f"地区{i}" for i in range(5)}
    assert len(rows) >= 3  # each of the five is missing with a probability far below one in a thousand
    assert all(abs(row[1] - ROWS / 5) < 60 for row in rows)  # sensitivity 1, ε = 0.5: e^-30 beyond it
    assert (done.report.some_withheld, done.report.groups_withheld) == (True, None)
    assert left(site) == (7 * PRICE, 9 * DELTA)
    charged = entries(site, "budget.charge")
    assert [dict(entry.facts)["epsilon_left"] for entry in charged] == ["3.5"]
    assert job.ref in charged[0].origins
    assert not folders.kept_folder(site.home, job.id).exists()


def test_explaining_shows_the_price_and_takes_nothing(sqlite_site):
    site = sqlite_site
    settle_noisy(site)
    found = compute.explain(site, DEVELOPER, ENTITLEMENT, BY_REGION)
    assert (found.query.price.epsilon_milli, found.query.price.delta_pico) == (3 * PRICE, DELTA)
    assert found.budget.epsilon_milli_left == 10 * PRICE
    compute.try_on_synthetic(site, DEVELOPER, ENTITLEMENT, BY_REGION)
    assert left(site) == (10 * PRICE, 10 * DELTA)


def test_the_same_statement_again_returns_the_first_answer_and_costs_nothing(sqlite_site):
    site = sqlite_site
    settle_noisy(site)
    first = compute.run_job(site, submit(site).id)
    again = submit(site)
    assert again == first
    assert left(site) == (7 * PRICE, 9 * DELTA)
    # One that reads otherwise is another draw, and is paid for: averaging costs what it gives.
    other = submit(site, f"{BY_REGION} ")
    assert other.id != first.id
    assert left(site) == (4 * PRICE, 8 * DELTA)
    assert len(compute.read_budget(site, DEVELOPER, ENTITLEMENT).charges) == 2


def test_a_spent_budget_refuses_and_says_what_is_left(site):
    settle_noisy(site)
    for i in range(3):
        submit(site, f"{BY_REGION} LIMIT {10 + i}")
    with pytest.raises(Refused) as caught:
        submit(site, f"{BY_REGION} LIMIT 20")
    (reason,) = caught.value.reasons
    assert (reason.code, dict(reason.facts)) == (
        "budget-spent", {"epsilon": "1.5", "delta": "1e-09", "epsilon_left": "0.5", "delta_left": "7e-09"},
    )  # fmt: skip
    submit(site, COUNTED)  # what is left still buys one count
    assert codes(lambda: submit(site, f"{COUNTED} WHERE \"地区\" <> '地区1'")) == ["budget-spent"]
    assert left(site) == (0, 7 * DELTA)
    assert [entry.action for entry in audit.list_entries(site, AUDITOR, PageRequest(200), outcome="denied").rows] == [
        "job.submit"
    ] * 2


def test_delta_is_a_budget_of_its_own(sqlite_site):
    site = sqlite_site
    settle_noisy(site, replace(NOISE, budget_delta_pico=DELTA))
    submit(site)
    assert codes(lambda: submit(site, f"{BY_REGION} LIMIT 9")) == ["budget-spent"]
    submit(site, COUNTED)  # without groups nothing of δ is needed


def test_splitting_a_statement_costs_the_same(site):
    settle_noisy(site)
    submit(site, 'SELECT count(*) AS n, sum("注册资本") AS s FROM enterprise')
    assert left(site)[0] == 8 * PRICE
    submit(site, COUNTED)
    submit(site, 'SELECT sum("注册资本") AS s FROM enterprise')
    assert left(site)[0] == 6 * PRICE
    many = " UNION ALL ".join(f"SELECT count(*) AS n FROM enterprise WHERE \"地区\" <> '{i}'" for i in range(7))
    assert codes(lambda: submit(site, many)) == ["budget-spent"]
    assert left(site)[0] == 6 * PRICE


def test_a_job_that_fails_on_purpose_gives_nothing_back(sqlite_site, monkeypatch):
    site = sqlite_site
    settle_noisy(site)
    job = submit(site)
    with monkeypatch.context() as patched:
        patched.setattr(sandbox, "run_engine", lambda *_, **__: sandbox.Outcome(code="engine-failed"))
        assert compute.run_job(site, job.id).status is JobStatus.FAILED
    assert left(site)[0] == 7 * PRICE
    assert submit(site).id != job.id  # it gave no answer, so the next try is a draw of its own
    assert left(site)[0] == 4 * PRICE


class Killed(BaseException):
    """Stands for a worker that is killed: nothing catches it."""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_run_is_paid_once_and_repeated_with_the_same_noise(sqlite_site, monkeypatch, moment):
    site = sqlite_site
    settle_noisy(site)
    job = submit(site)
    seen = []
    run_engine = sandbox.run_engine

    def run(query, given, **named):
        if moment == "after":
            outcome = run_engine(query, given, **named)
            seen.append((outcome.code, duckdb.read_parquet(str(given.outbox / "result.parquet")).fetchall()))
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(sandbox, "run_engine", run)
        for _ in range(3 if moment == "after" else 1):
            with pytest.raises(Killed):
                compute.run_job(site, job.id)
    done = compute.run_job(site, job.id)
    assert (done.status, left(site)) == (JobStatus.SUCCEEDED, (7 * PRICE, 9 * DELTA))
    # Whoever can end runs at will sees one draw, however often it is repeated.
    assert all(rows == ("", result(site, done)) for rows in seen)
    assert not folders.kept_folder(site.home, job.id).exists()


def test_a_file_that_was_not_written_to_its_end_is_not_taken_for_noise(sqlite_site):
    site = sqlite_site
    settle_noisy(site)
    job = submit(site)
    folder = folders.kept_folder(site.home, job.id)
    folder.mkdir(parents=True)
    (folder / "0.parquet").write_bytes(b"PAR1 cut off in the mid")
    assert compute.run_job(site, job.id).status is JobStatus.SUCCEEDED


def test_two_submissions_at_once_never_take_more_than_there_is(site):
    settle_noisy(site, replace(NOISE, budget_epsilon_milli=4 * PRICE))
    outcomes, ready = [], threading.Barrier(6)

    def take(number):
        ready.wait()
        try:
            outcomes.append(submit(site, f"{COUNTED} LIMIT {number + 1}").id)
        except Refused as refused:
            outcomes.append(refused.reasons[0].code)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("budget-spent") == 2
    assert left(site)[0] == 0
    assert len(compute.read_budget(site, DEVELOPER, ENTITLEMENT).charges) == 4


def test_the_database_itself_keeps_a_budget_from_going_below_zero(site):
    settle_noisy(site)
    submit(site)
    overdraw = compute_store.BUDGETS.table.update().values(epsilon_milli_left=-1)
    with pytest.raises(IntegrityError), site.db.transaction() as tx:
        tx.execute(overdraw)
    assert left(site)[0] == 7 * PRICE


def test_a_budget_survives_a_restart(site):
    settle_noisy(site)
    submit(site)
    assert isinstance(site.db, ControlDatabase)
    site.db.engine.dispose()  # every connection is gone, as after a restart
    assert left(site) == (7 * PRICE, 9 * DELTA)


def test_who_sees_a_budget(sqlite_site):
    site = sqlite_site
    settle_noisy(site)
    submit(site)
    for who in (DEVELOPER, AGENCY, AUDITOR):
        assert compute.read_budget(site, who, ENTITLEMENT).budget.epsilon_milli_spent == 3 * PRICE
    assert codes(lambda: compute.read_budget(site, STRANGER, ENTITLEMENT)) == ["not-found"]


def test_an_entitlement_without_noise_has_no_budget(sqlite_site):
    site = sqlite_site
    settle(site)
    submit(site)
    assert compute.read_budget(site, DEVELOPER, ENTITLEMENT) is None


def test_what_is_exact_is_refused_where_noise_is_demanded(sqlite_site):
    site = sqlite_site
    settle_noisy(site)
    fields = (
        VerificationField("code", "信用代码", is_required=True, is_key=True),
        VerificationField("name", "企业名称", is_required=True),
    )
    definition = VerificationDefinition("enterprise", fields)
    assert codes(lambda: compute.submit_verification(site, DEVELOPER, ENTITLEMENT, "核验", definition)) == [
        "protection-sql-only"
    ]
    assert codes(lambda: submit(site, 'SELECT "状态" FROM enterprise')) == ["noise-rows"]


def test_without_opendp_nothing_runs_and_nothing_is_charged(sqlite_site, monkeypatch):
    site = sqlite_site
    settle_noisy(site)
    monkeypatch.setattr(budgets, "can_add_noise", lambda: False)
    assert codes(lambda: submit(site)) == ["noise-missing"]
    assert [reason.code for reason in compute.explain(site, DEVELOPER, ENTITLEMENT, COUNTED).reasons] == [
        "noise-missing"
    ]
    assert left(site) == (10 * PRICE, 10 * DELTA)


def test_rounding_and_bounds_act_on_a_job(sqlite_site):
    settle(sqlite_site)
    protect(sqlite_site, Protection(ContributionBounds(1), Rounding(50)))
    done = compute.run_job(sqlite_site, submit(sqlite_site).id)
    assert {row[1] for row in result(sqlite_site, done)} == {50}
    assert compute.read_budget(sqlite_site, DEVELOPER, ENTITLEMENT) is None
