"""Two installations agree on a task by letters, run it as jobs, and put what they learn into quarantine."""

import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from gongshu.access.types import Role
from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.paging import FIRST_PAGE, PageRequest
from gongshu.catalog import service as catalog
from gongshu.compute import service as compute
from gongshu.compute import store as compute_store
from gongshu.compute.adapters.joint import identity
from gongshu.compute.adapters.joint.environment import PROJECT
from gongshu.compute.service.joint import IDENTITY_SECRET
from gongshu.compute.types import JobStatus, JointKind, JointLearners, JointStatus
from gongshu.egress import service as egress
from gongshu.egress.types import CheckVerdict, OutputStatus, ReviewKind
from gongshu.policies.types import Thresholds
from tests import governed_site, samples
from tests.joint.conftest import free_ports
from tests.joint.nodes import BANK, CITY, KEY, OPEN_KEY, RELATION, VALUE, agree, kill, two_nodes

TERMS = compute.JointTerms(
    JointKind.SUMS, "普惠金融", JointLearners.PROPOSER, peer_brings_value=True, connect_seconds=60, silence_seconds=5,
    runtime_seconds=120,
)  # fmt: skip
COUNT = replace(TERMS, kind=JointKind.COUNT, peer_brings_value=False)
BOTH_KNOW = replace(TERMS, kind=JointKind.INTERSECTION, peer_brings_value=False, learners=JointLearners.BOTH)


@pytest.fixture
def nodes(environment, tmp_path):
    """Give the city's node and the bank's."""
    with two_nodes(tmp_path, free_ports()) as made:
        yield made


def run_both(city, bank, theirs, ours):
    """Run both jobs as two workers would."""
    with ThreadPoolExecutor(2) as both:
        first = both.submit(compute.run_job, city.site, theirs)
        second = both.submit(compute.run_job, bank.site, ours)
        return first.result(), second.result()


def in_business(node):
    (path,) = (node.home / "data" / governed_site.RESOURCE / "v1").glob("*.parquet")
    names = list(governed_site.COLUMNS)
    return [row for row in governed_site.parquet_rows(path) if row[names.index("状态")] == "存续"]


def actions(node):
    entries = audit.list_entries(node.site, governed_site.AUDITOR, PageRequest(limit=200)).rows
    return [entry.action for entry in reversed(entries)]


def test_a_sum_goes_the_whole_way_by_command_line_and_workers(nodes, tmp_path):
    city, bank = nodes
    proposal, answer, confirmation = (str(tmp_path / name) for name in ("proposal", "answer", "confirmation"))
    own = ["--relation", RELATION, "--key", KEY, "--rows-max", "1000", "--address"]
    made = bank.run(
        "joint", "propose", governed_site.ENTITLEMENT, "--kind", "sums", "--purpose", "普惠金融", "--peer-value",
        "--silence-seconds", "5", *own, bank.address, "--out", proposal,
    ).strip()  # fmt: skip
    fingerprints = bank.run("joint", "fingerprint").strip(), city.run("joint", "fingerprint").strip()
    city.run(
        "joint", "agree", proposal, "--fingerprint", fingerprints[0], "--entitlement", governed_site.ENTITLEMENT, *own,
        city.address, "--value", VALUE, "--scale", "2", "--out", answer,
    )  # fmt: skip
    bank.run("joint", "agree", answer, "--fingerprint", fingerprints[1], "--out", confirmation)
    city.run("joint", "agree", confirmation, "--fingerprint", fingerprints[0])
    city.work(), bank.work()
    told = json.loads(bank.run("joint", "status", made, "--watch", "--json"))
    peer = json.loads(city.run("joint", "status", made, "--watch", "--json"))
    assert (told["job"]["status"], peer["job"]["status"]) == ("succeeded", "succeeded")
    assert told["agreement"]["status"] == peer["agreement"]["status"] == "spent"
    assert told["progress"]["percent"] >= 90
    job = bank.status(made)["job"]
    rows = governed_site.parquet_rows(bank.home / "outputs" / job.id / "result.parquet")
    capital = [row[list(governed_site.COLUMNS).index(VALUE)] for row in in_business(city)]
    assert rows == [(len(capital), sum(capital, Decimal(0)))]
    bank.wait_for(job.id, lambda *_: outputs_of(bank))
    (output,) = outputs_of(bank)
    assert output.status is OutputStatus.QUARANTINED
    assert {finding.verdict for finding in output.findings} == {CheckVerdict.PASS}
    assert outputs_of(city) == ()
    assert not list(city.home.glob("outputs/*"))
    for node, done in ((bank, job.id), (city, city.status(made)["job"].id)):
        node.wait_for(done, lambda *_, node=node: not list(node.home.glob("work/*")))
    assert [one for one in actions(bank) if one.startswith(("joint", "job", "output"))] == [
        "joint.propose", "joint.agree", "job.submit", "job.run", "joint.meet", "job.succeed", "output.collect",
    ]  # fmt: skip
    assert [one for one in actions(city) if one.startswith(("joint", "job", "output"))] == [
        "joint.answer", "joint.agree", "job.submit", "job.run", "joint.meet", "job.succeed",
    ]  # fmt: skip


def outputs_of(node):
    return egress.list_outputs(node.site, node.actor, FIRST_PAGE).rows


def test_a_worker_killed_half_way_ends_both_jobs_and_leaves_nothing(nodes):
    city, bank = nodes
    made, ours, theirs = agree(
        city, bank, TERMS, city_half=city.half(value_column=VALUE, value_scale=2), bank_half=bank.half()
    )
    city.work()
    worker = bank.work()
    bank.wait_for(ours, lambda _, progress: progress is not None and progress.phase in {"agreed", "comparing"})
    kill(worker)
    lost = city.wait_for(theirs, lambda job, _: job.status is not JobStatus.RUNNING and job.finished_at)
    assert (lost.status, lost.failure_code) == (JobStatus.FAILED, "joint-broken-off")
    assert list(bank.home.glob("work/*"))  # what the killed run left
    bank.work()
    ended = bank.wait_for(ours, lambda job, _: job.finished_at)
    assert (ended.status, ended.failure_code) == (JobStatus.FAILED, "joint-interrupted")
    for node in (city, bank):
        assert node.status(made)["agreement"].status is JointStatus.SPENT
        assert node.left() == []
        assert node.run("audit", "fsck")
    with pytest.raises(Refused, match="wrong-status"):
        compute.run_joint_again(bank.site, bank.actor, made)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_ends_before_the_peer_has_come_runs_again(nodes, sent):
    city, bank = nodes
    made, ours, theirs = agree(city, bank, COUNT, city_half=city.half(), bank_half=bank.half())
    worker = bank.work()
    bank.wait_for(ours, lambda _, progress: progress is not None and progress.phase == "connecting")
    worker.send_signal(sent)
    worker.wait(30)  # whatever the job waits for
    assert bank.status(made)["agreement"].status is JointStatus.AGREED
    bank.work()
    city.work()
    ended = [node.wait_for(job, lambda job, _: job.finished_at) for node, job in ((bank, ours), (city, theirs))]
    assert [(job.status, job.failure_code) for job in ended] == [(JobStatus.SUCCEEDED, "")] * 2
    assert governed_site.parquet_rows(bank.home / "outputs" / ours / "result.parquet") == [(len(in_business(city)),)]


def test_a_peer_that_does_not_come_may_come_later(nodes):
    city, bank = nodes
    made, ours, theirs = agree(
        city, bank, replace(COUNT, connect_seconds=15), city_half=city.half(), bank_half=bank.half()
    )
    alone = compute.run_job(bank.site, ours)
    assert (alone.status, alone.failure_code) == (JobStatus.FAILED, "joint-peer-absent")
    with pytest.raises(Refused, match="joint-still-running"):
        compute.run_joint_again(city.site, city.actor, made)
    _, again = compute.run_joint_again(bank.site, bank.actor, made)
    peer, job = run_both(city, bank, theirs, again.id)
    assert (peer.status, job.status, job.report.rows) == (JobStatus.SUCCEEDED, JobStatus.SUCCEEDED, 1)


def test_an_intersection_becomes_keys_of_ones_own_on_both_sides(environment, tmp_path):
    with two_nodes(tmp_path, free_ports(), policy=OPEN_KEY) as (city, bank):
        _, ours, theirs = agree(city, bank, BOTH_KNOW, city_half=city.half(), bank_half=bank.half(is_padded=True))
        run_both(city, bank, theirs, ours)
        expected = [(key,) for key in sorted(row[0] for row in in_business(city))]
        for node, job in ((city, theirs), (bank, ours)):
            folder = node.home / "outputs" / job
            assert governed_site.parquet_rows(folder / "result.parquet") == expected
            assert (folder / "result.csv").read_text().splitlines() == [KEY, *(key for (key,) in expected)]
            output = egress.collect(node.site, job)
            verdicts = {finding.check: finding.verdict for finding in output.findings}
            assert verdicts["source-rows"] is verdicts["identifiers"] is CheckVerdict.REVIEW
            assert release(node, output).files == output.files


def release(node, output):
    """Let an output be reviewed by two people and released by the operator, as any other."""
    asked = egress.submit_for_review(node.site, node.actor, output.id, "按协议制作")
    for kind in ReviewKind:
        reviewer = samples.actor(f"reviewer-{kind}", Role.REVIEWER)
        egress.vote(node.site, reviewer, asked.id, kind, asked.digest, approves=True, reason="符合要求")
    return egress.release(node.site, governed_site.OPERATOR, asked.id)


@pytest.mark.parametrize("kind", [JointKind.INTERSECTION, JointKind.COUNT, JointKind.SUMS])
def test_below_the_threshold_nobody_learns_more_than_that(environment, tmp_path, kind):
    strict = Thresholds(280, 10, 2, 90)
    with two_nodes(tmp_path, free_ports(), policy=OPEN_KEY, thresholds=strict) as (city, bank):
        terms = replace(BOTH_KNOW, kind=kind, peer_brings_value=kind is JointKind.SUMS)
        value = {"value_column": VALUE, "value_scale": 2} if kind is JointKind.SUMS else {}
        padded = bank.half(is_padded=True)  # it has fewer keys than the threshold
        _, ours, theirs = agree(city, bank, terms, city_half=city.half(**value), bank_half=padded)
        for job in run_both(city, bank, theirs, ours):
            assert (job.status, job.files, job.report.rows) == (JobStatus.SUCCEEDED, (), 0)
            assert (job.report.some_withheld, job.report.groups_withheld) == (True, None)
        assert city.left() == bank.left() == []


def test_two_nodes_with_different_documents_find_out_before_a_key_is_touched(nodes):
    city, bank = nodes
    made, ours, theirs = agree(city, bank, COUNT, city_half=city.half(), bank_half=bank.half())
    with city.site.db.transaction() as tx:  # a node that keeps another document than it signed
        job = compute_store.JOBS.get(tx, theirs)
        other = replace(job.plan.joint, purpose="其他目的")
        compute_store.JOBS.save(tx, job, replace(job, plan=replace(job.plan, joint=other)))
    ended = run_both(city, bank, theirs, ours)
    assert [(job.status, job.failure_code) for job in ended] == [(JobStatus.FAILED, "joint-peer-differs")] * 2
    assert city.left() == bank.left() == []
    assert bank.status(made)["progress"].percent <= 1


def test_a_grant_that_ends_stops_a_run_that_waits_for_its_peer(nodes):
    city, bank = nodes
    _, ours, theirs = agree(city, bank, COUNT, city_half=city.half(), bank_half=bank.half())
    with ThreadPoolExecutor(1) as running:
        run = running.submit(compute.run_job, bank.site, ours)
        bank.wait_for(ours, lambda _, progress: progress is not None and progress.phase == "connecting")
        with bank.site.db.transaction() as tx:
            compute.stop_under_in(tx, bank.site, samples.actor("agency"), samples.grant().id, "到期")
        peer = compute.run_job(city.site, theirs)
        assert run.result().status is JobStatus.STOPPED
    assert (peer.status, peer.failure_code) == (JobStatus.FAILED, "joint-broken-off")
    assert city.left() == bank.left() == []


def test_versions_are_frozen_by_digest_and_the_plan_names_them(nodes):
    city, bank = nodes
    made, ours, _ = agree(city, bank, COUNT, city_half=city.half(), bank_half=bank.half())
    job = bank.status(made)["job"]
    with bank.site.db.reading() as tx:
        version = catalog.version_in(tx, governed_site.RESOURCE, 1)
    assert job.plan.inputs == (version.ref,)
    assert job.plan.joint.digest == job.plan.code_digest == bank.status(made)["agreement"].peer_digest
    assert [side.party.partition("@")[0] for side in job.plan.joint.sides] == [BANK, CITY]
    assert job.id == ours


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("boasts", "joint-peer-differs"),
        ("overstates", "joint-peer-differs"),
        ("dies", "joint-broken-off"),
        ("garbles shares", "joint-broken-off"),
    ],
)
def test_a_peer_with_the_right_certificate_that_lies_ends_the_job_and_learns_nothing(nodes, environment, mode, code):
    city, bank = nodes
    made, _, theirs = agree(city, bank, COUNT, city_half=city.half(), bank_half=bank.half())
    task = city.status(made)["agreement"].task
    secret = bank.site.keys.secret(IDENTITY_SECRET)
    files = {name: bank.home / f"{name}.pem" for name in ("own", "key", "peer")}
    files["own"].write_text(task.sides[0].certificate)
    files["key"].write_bytes(identity.private_key(secret))
    files["peer"].write_text(task.sides[1].certificate)
    arguments = [mode, "0", bank.address, city.address, task.digest, str(governed_site.ROWS), *map(str, files.values())]
    liar = subprocess.Popen(
        [environment.python, Path(__file__).with_name("hostile.py"), *arguments], cwd=bank.home,
        env={"PYTHONPATH": str(PROJECT), "PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        job = compute.run_job(city.site, theirs)
    finally:
        kill(liar)
    assert (job.status, job.failure_code) == (JobStatus.FAILED, code)
    assert city.status(made)["agreement"].status is JointStatus.SPENT
    assert city.left() == []
    assert actions(city)[-2:] == ["joint.meet", "job.fail"]
