"""Outputs on both stores: quarantined, checked, reviewed, released, and void after one changed byte."""

import pytest

from gongshu.access.types import Role
from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.paging import PageRequest
from gongshu.egress import service as egress
from gongshu.egress import store
from gongshu.egress.types import CheckVerdict, OutputStatus, ReviewKind
from gongshu.grants import service as grants
from tests import samples, world
from tests.world import AUDITOR, BANK, CONFORMITY, DEVELOPER, OPERATOR, SECURITY

FIRST = PageRequest()


@pytest.fixture(autouse=True)
def settled(site):
    world.settle(site)


def actions(site, outcome=""):
    """Return the actions in the log, oldest first."""
    rows = audit.list_entries(site, AUDITOR, PageRequest(200), outcome=outcome).rows
    return [entry.action for entry in reversed(rows)]


def refusal(call):
    with pytest.raises(Refused) as caught:
        call()
    return [reason.code for reason in caught.value.reasons]


def status(site, output):
    return egress.get_output(site, AUDITOR, output.id).status


def test_an_output_is_collected_once(site):
    job = world.run_job(site)
    first = egress.collect(site, job.id)
    assert egress.collect(site, job.id) == first
    assert actions(site) == ["output.collect"]
    assert (first.status, first.operator, first.grant) == (OutputStatus.QUARANTINED, samples.OPERATOR, "grant-1")
    assert {finding.verdict for finding in first.findings} == {CheckVerdict.PASS}


def test_a_file_that_changed_before_it_was_collected_makes_no_output(site):
    job = world.run_job(site)
    world.flip_a_byte(site.home / "outputs" / job.id / job.files[0].name)
    assert refusal(lambda: egress.collect(site, job.id)) == ["output-changed"]
    assert actions(site, "denied") == ["output.collect"]
    assert egress.list_outputs(site, AUDITOR, FIRST).rows == ()


def test_an_output_with_an_identifier_stays_in_quarantine(site):
    job = world.run_job(site, "SELECT '91350000MA0000000F' AS region, 20 AS enterprises")
    output = egress.collect(site, job.id)
    assert [f.verdict for f in output.findings if f.check == "identifiers"] == [CheckVerdict.FAIL]
    assert refusal(lambda: egress.submit_for_review(site, DEVELOPER, output.id, "x")) == ["output-check-failed"]
    assert status(site, output) is OutputStatus.QUARANTINED


def test_findings_and_entries_hold_no_value(site):
    egress.collect(site, world.run_job(site, "SELECT '91350000MA0000000F' AS region, 3 AS enterprises").id)
    output = egress.list_outputs(site, AUDITOR, FIRST).rows[0]
    entries = audit.list_entries(site, AUDITOR, FIRST).rows
    assert "91350000MA0000000F" not in repr((output, entries))


def test_reviewed_bytes_are_released_byte_for_byte(site):
    output = world.approved(site)
    assert output.status is OutputStatus.APPROVED
    release = egress.release(site, OPERATOR, output.id)
    folder = egress.release_folder(site, release)
    assert (folder / "table.parquet").read_bytes() == world.quarantined(site, output).read_bytes()
    assert status(site, output) is OutputStatus.RELEASED
    assert [vote.kind for vote in release.votes] == [ReviewKind.SECURITY, ReviewKind.CONFORMITY]
    assert refusal(lambda: egress.release(site, OPERATOR, output.id)) == ["wrong-status"]
    with site.db.reading() as tx:
        assert egress.release_in(tx, release.id) == release
    assert egress.get_release(site, OPERATOR, release.id) == release
    assert egress.list_releases(site, OPERATOR, FIRST).rows == (release,)


@pytest.mark.parametrize("when", ["before any vote", "after the first vote", "after both votes"])
def test_one_changed_byte_voids_the_review(site, when):
    output = world.submitted(site)
    if when != "before any vote":
        world.cast(site, output, SECURITY, ReviewKind.SECURITY)
    if when == "after both votes":
        world.cast(site, output, CONFORMITY, ReviewKind.CONFORMITY)
    world.flip_a_byte(world.quarantined(site, output))
    if when == "after both votes":
        found = refusal(lambda: egress.release(site, OPERATOR, output.id))
    else:
        found = refusal(lambda: world.cast(site, output, CONFORMITY, ReviewKind.CONFORMITY))
    assert found == ["output-changed"]
    void = egress.get_output(site, AUDITOR, output.id)
    assert (void.status, void.votes) == (OutputStatus.VOID, ())
    assert actions(site)[-2:] == ["output.void", "output.release" if when == "after both votes" else "output.vote"]
    assert not (site.home / "releases").exists()
    world.flip_a_byte(world.quarantined(site, output))  # the byte is put back: what was voided stays void
    assert "wrong-status" in refusal(lambda: egress.release(site, OPERATOR, output.id))
    assert "wrong-status" in refusal(lambda: world.cast(site, output, SECURITY, ReviewKind.SECURITY))


def test_somebody_without_permission_cannot_even_void(site):
    output = world.submitted(site)
    world.flip_a_byte(world.quarantined(site, output))
    assert refusal(lambda: egress.release(site, BANK, output.id)) == ["permission-missing"]
    assert status(site, output) is OutputStatus.IN_REVIEW


def test_a_byte_changed_after_the_release_is_not_delivered(site):
    release = world.released(site)
    world.flip_a_byte(site.home / "outputs" / "job-1" / "table.parquet")
    folder = egress.release_folder(site, release)  # what left is not what lies in quarantine
    world.flip_a_byte(folder / "table.parquet")
    assert refusal(lambda: egress.release_folder(site, release)) == ["release-changed"]


def test_votes_stay_hidden_until_both_are_in(site):
    output = world.submitted(site)
    own = world.cast(site, output, SECURITY, ReviewKind.SECURITY)
    assert [vote.reviewer for vote in own.votes] == [SECURITY.person]
    for reader in (CONFORMITY, DEVELOPER, OPERATOR, AUDITOR):
        assert egress.get_output(site, reader, output.id).votes == ()
        assert all(not row.votes for row in egress.list_outputs(site, reader, FIRST).rows)
    both = world.cast(site, output, CONFORMITY, ReviewKind.CONFORMITY, approves=False)
    assert len(both.votes) == 2
    assert len(egress.get_output(site, SECURITY, output.id).votes) == 2
    assert both.status is OutputStatus.REJECTED


def test_people_of_the_author_or_of_its_affiliates_do_not_review(site):
    output = world.submitted(site)
    colleague = samples.actor(samples.DEVELOPER, Role.REVIEWER, person="colleague")
    daughter = samples.actor("daughter", Role.REVIEWER)
    for reviewer in (colleague, daughter):
        assert refusal(lambda r=reviewer: world.cast(site, output, r, ReviewKind.SECURITY)) == ["reviewer-related"]
        preview = refusal(lambda r=reviewer: egress.preview_output(site, r, output.id, FIRST))
        assert preview == ["preview-before-release"]
    author = samples.actor(samples.DEVELOPER, Role.REVIEWER, Role.DEVELOPER)
    assert "reviewer-is-author" in refusal(lambda: world.cast(site, output, author, ReviewKind.SECURITY))
    assert actions(site, "denied") == ["output.vote", "output.preview"] * 2 + ["output.vote"]


def test_reviewers_look_at_rows_and_every_look_is_logged(site):
    output = world.submitted(site)
    seen = egress.preview_output(site, SECURITY, output.id, PageRequest(limit=4))
    assert (seen.columns, len(seen.rows), seen.total, seen.next_after) == (("region", "enterprises"), 4, 6, "4")
    rest = egress.preview_output(site, SECURITY, output.id, PageRequest(limit=4, after=seen.next_after))
    assert (len(rest.rows), rest.next_after) == (2, "")
    assert refusal(lambda: egress.preview_output(site, DEVELOPER, output.id, FIRST)) == ["preview-before-release"]
    assert refusal(lambda: egress.preview_output(site, BANK, output.id, FIRST)) == ["permission-missing"]
    assert actions(site).count("output.preview") == 4


def test_author_and_operator_see_rows_after_the_release(site):
    output = world.approved(site)
    egress.release(site, OPERATOR, output.id)
    assert egress.preview_output(site, DEVELOPER, output.id, FIRST).total == 6
    assert egress.preview_output(site, OPERATOR, output.id, FIRST).total == 6


def test_an_output_is_known_to_those_it_concerns(site):
    output = egress.collect(site, world.run_job(site).id)
    stranger = samples.actor("stranger", Role.DEVELOPER)
    assert refusal(lambda: egress.get_output(site, stranger, output.id)) == ["not-found"]
    assert refusal(lambda: egress.get_output(site, SECURITY, output.id)) == ["not-found"], "not submitted yet"
    assert egress.list_outputs(site, stranger, FIRST).rows == ()
    assert egress.list_outputs(site, SECURITY, FIRST).rows == ()
    assert egress.list_outputs(site, SECURITY, FIRST, status=OutputStatus.QUARANTINED).rows == ()
    egress.submit_for_review(site, DEVELOPER, output.id, "按区域统计")
    for reader in (SECURITY, DEVELOPER, OPERATOR, AUDITOR):
        assert [row.id for row in egress.list_outputs(site, reader, FIRST).rows] == [output.id]
        assert [row.id for row in egress.list_outputs(site, reader, FIRST, status=OutputStatus.IN_REVIEW).rows] == [
            output.id
        ]


def test_nothing_leaves_after_the_grant_has_ended(site):
    output = world.approved(site)
    with site.db.transaction() as tx:
        disposals = egress.stop_under_in(tx, site, world.AGENCY, "grant-1", "期满")
        grants.end_in(tx, site, world.AGENCY, "grant-1", "期满", disposals)
    assert status(site, output) is OutputStatus.STOPPED
    assert refusal(lambda: egress.release(site, OPERATOR, output.id)) == ["wrong-status", "grant-not-in-force"]
    assert [disposal.ref.id for disposal in disposals] == [output.id]


def test_a_release_that_is_refused_or_fails_leaves_no_folder(site, monkeypatch):
    output = world.approved(site)
    assert refusal(lambda: egress.release(site, samples.actor("other", Role.OPERATOR), output.id)) == [
        "release-not-operator"
    ]

    def fail(*_args, **_named):
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(store.RELEASES, "add", fail)
        with pytest.raises(OSError, match="full"):
            egress.release(site, OPERATOR, output.id)
    assert list((site.home / "releases").iterdir()) == []
    assert status(site, output) is OutputStatus.APPROVED
    egress.release(site, OPERATOR, output.id)


def test_a_review_stands_on_the_lifeline_of_the_release(site):
    release = world.released(site)
    trace = audit.trace_back(site, "release", release.id)
    parents = {(edge.child.kind, edge.parent.kind) for edge in trace.edges}
    assert {("release", "review"), ("review", "output"), ("release", "output"), ("output", "job")} <= parents
    assert sum(step.ref.kind == "review" for step in trace.steps) == 2
