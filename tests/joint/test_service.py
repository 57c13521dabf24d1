"""Two installations agree on a task, each under its own entitlement, and run their sides on registered data."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from typing import cast

import pytest

from gongshu.access.types import Role
from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.ids import EntitlementId, PartyId
from gongshu.base.paging import FIRST_PAGE
from gongshu.base.tables import METADATA
from gongshu.compute.adapters import folders
from gongshu.compute.rules.joint import JointKind, JointSide
from gongshu.compute.service import joint as service
from gongshu.compute.service.governing import govern_in
from gongshu.policies.types import Use
from gongshu.scenarios import store as scenarios_store
from gongshu.server.database import ControlDatabase
from gongshu.server.wiring import make_site
from tests import governed_site, samples
from tests.joint.conftest import task

PEER = samples.actor("peer", Role.DEVELOPER)
ALIVE = "\"状态\" = '存续'"
OPEN_KEY = governed_site.policy(
    columns=tuple(
        replace(column, uses=column.uses | {Use.REVEAL}) if column.column == "信用代码" else column
        for column in governed_site.policy().columns
    )
)


@pytest.fixture
def sites(tmp_path, clock):
    """Give two installations: ours with all rows, the peer's with those in business, and its own developer."""
    made = [make_site(tmp_path / name, database_url=f"sqlite:///{tmp_path / name}.db", clock=clock) for name in "ab"]
    with closing(cast(ControlDatabase, made[0].db)) as first, closing(cast(ControlDatabase, made[1].db)) as second:
        for database in (first, second):
            METADATA.create_all(database.engine)
        yield made


def settle(sites, policy):
    governed_site.settle(sites[0], policy)
    governed_site.settle(sites[1], replace(policy, row_filter=ALIVE))
    with sites[1].db.transaction() as tx:
        before = scenarios_store.ENTITLEMENTS.get(tx, governed_site.ENTITLEMENT)
        scenarios_store.ENTITLEMENTS.save(tx, before, replace(before, developer=PEER.party))


def governed(site):
    with site.db.reading() as tx:
        found = scenarios_store.ENTITLEMENTS.get(tx, governed_site.ENTITLEMENT)
        return govern_in(tx, site, found).value_or_raise()


def task_of(sites, kind):
    value, scale = ("注册资本", 2) if kind is JointKind.SUMS else ("", 0)
    first, second = (governed(site).entitlement.ref for site in sites)
    sides = (
        JointSide(samples.DEVELOPER, first, "enterprise", "信用代码", 1_000),
        JointSide(PEER.party, second, "enterprise", "信用代码", 1_000, value, scale),
    )
    return replace(task(kind, (samples.DEVELOPER,)), sides=sides)


def run(site, agreed, developer, meeting, heard):
    with folders.workplace(site.home, "joint") as place:
        done = service.run_joint(site, agreed, developer, governed(site), place, meeting, heard.append)
        written = place / "outbox" / "result.parquet"
        return done, governed_site.parquet_rows(written) if written.exists() else None


def run_both(sites, agreed, pair):
    addresses = [f"127.0.0.1:{port}" for port in pair.ports]
    heard = []
    with ThreadPoolExecutor(2) as both:
        told = [
            both.submit(run, site, agreed, party, service.JointMeeting(*addresses[:: 1 - 2 * side]), heard)
            for side, (site, party) in enumerate(zip(sites, (samples.DEVELOPER, PEER.party), strict=True))
        ]
        return [one.result() for one in told], heard


def in_business(site):
    version = governed(site).versions["enterprise"]
    (path,) = service.catalog.version_files(site, version)
    names = list(governed_site.COLUMNS)
    return [row for row in governed_site.parquet_rows(path) if row[names.index("状态")] == "存续"]


def test_a_sum_over_both_becomes_one_row_and_the_peer_gets_no_file(sites, pair):
    settle(sites, governed_site.policy())
    agreed = task_of(sites, JointKind.SUMS)
    ours = service.agree_joint(sites[0], governed_site.DEVELOPER, governed_site.ENTITLEMENT, agreed)
    theirs = service.agree_joint(sites[1], PEER, governed_site.ENTITLEMENT, agreed, ours.digest)
    assert ours.digest == theirs.digest
    [(done, rows), (peer, peer_rows)], heard = run_both(sites, agreed, pair)
    names = list(governed_site.COLUMNS)
    capital = [row[names.index("注册资本")] for row in in_business(sites[1])]
    assert rows == [(len(capital), sum(capital, Decimal(0)))]
    assert done.report is not None
    assert (done.report.rows, done.report.some_withheld, done.report.needs_review) == (1, False, False)
    assert "namespaces" in done.defences
    assert {file.name for file in done.files} == {"result.parquet", "result.csv"}
    assert (peer.reasons, peer.files, peer_rows, peer.result.passes) == ((), (), None, None)
    assert heard[-1].percent >= 95


def test_an_intersection_becomes_the_learners_own_keys(sites, pair):
    settle(sites, OPEN_KEY)
    agreed = task_of(sites, JointKind.INTERSECTION)
    [(done, rows), (peer, peer_rows)], _ = run_both(sites, agreed, pair)
    assert done.reasons == peer.reasons == ()
    assert rows == [(key,) for key in sorted(row[0] for row in in_business(sites[1]))]
    assert peer_rows is None


def test_refusals_are_audited_and_name_every_reason(sites):
    settle(sites, governed_site.policy())
    site = sites[0]
    wrong = replace(task_of(sites, JointKind.INTERSECTION), purpose="")
    with pytest.raises(Refused) as caught:
        service.agree_joint(site, governed_site.DEVELOPER, governed_site.ENTITLEMENT, wrong, "another digest")
    assert [reason.code for reason in caught.value.reasons] == [
        "joint-use-missing", "joint-purpose-missing", "joint-digest-differs",
    ]  # fmt: skip
    with pytest.raises(Refused) as caught:
        service.agree_joint(site, governed_site.STRANGER, EntitlementId("entitlement-1"), wrong)
    assert [reason.code for reason in caught.value.reasons] == ["not-found"]
    entries = audit.list_entries(site, governed_site.AUDITOR, FIRST_PAGE).rows
    assert [entry.action for entry in entries] == ["joint.agree"] * 2


def test_nothing_runs_beyond_this_machine_without_certificates(sites, tmp_path):
    settle(sites, governed_site.policy())
    agreed = task_of(sites, JointKind.SUMS)
    open_meeting = service.JointMeeting("127.0.0.1:1", "192.0.2.1:1")
    done = service.run_joint(sites[0], agreed, samples.DEVELOPER, governed(sites[0]), tmp_path, open_meeting)
    assert [reason.code for reason in done.reasons] == ["joint-transport-open"]


def test_a_party_that_is_no_side_does_not_run(sites, tmp_path):
    settle(sites, governed_site.policy())
    agreed = task_of(sites, JointKind.SUMS)
    meeting = service.JointMeeting("127.0.0.1:1", "127.0.0.1:2")
    done = service.run_joint(sites[0], agreed, PartyId("third"), governed(sites[0]), tmp_path, meeting)
    assert [reason.code for reason in done.reasons] == ["joint-not-a-side"]


def test_a_missing_environment_is_said_with_the_line_that_installs_it(sites, tmp_path):
    settle(sites, governed_site.policy())
    agreed = task_of(sites, JointKind.SUMS)
    meeting = service.JointMeeting("127.0.0.1:1", "127.0.0.1:2", environment=tmp_path)
    done = service.run_joint(sites[0], agreed, samples.DEVELOPER, governed(sites[0]), tmp_path, meeting)
    assert [reason.code for reason in done.reasons] == ["joint-environment-missing"]
    assert "make setup-joint" in done.reasons[0].fix.en
