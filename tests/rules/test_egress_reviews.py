"""Who may submit, review, preview and release."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gongshu.base.decisions import Decision, Kind, Permitted, rule
from gongshu.compute.types import JobStatus
from gongshu.egress.rules import reviews
from gongshu.egress.types import CheckVerdict, Finding, OutputStatus, ReviewKind
from gongshu.scenarios.types import EntitlementStatus
from tests import samples
from tests.samples import BANK, BUREAU, DEVELOPER, OPERATOR

S, SECURITY, CONFORMITY = OutputStatus, ReviewKind.SECURITY, ReviewKind.CONFORMITY
FAILED = Finding("identifiers", "name", CheckVerdict.FAIL, {"cells": "3"})
FAULT = rule("test-grant-ended", Kind.CONFLICT, zh="a", en="a", fix_zh="a", fix_en="a").because()


def codes(decision: Decision[object]) -> list[str]:
    return [reason.code for reason in decision.reasons]


@pytest.mark.parametrize("status", list(JobStatus))
def test_only_a_job_that_succeeded_has_an_output(status):
    expected = [] if status is JobStatus.SUCCEEDED else ["output-job-unfinished"]
    assert codes(reviews.decide_collect(samples.job(status=status))) == expected


def test_a_file_that_changed_or_vanished_is_named():
    files = samples.output().files
    assert reviews.changed_file(files, {"table.parquet": "a" * 64}) == ""
    assert reviews.changed_file(files, {"table.parquet": "b" * 64}) == "table.parquet"
    assert reviews.changed_file(files, {}) == "table.parquet"


@pytest.mark.parametrize(
    ("changes", "party", "standing", "expected"),
    [
        ({}, DEVELOPER, {}, []),
        ({}, OPERATOR, {}, ["output-not-yours"]),
        ({"context": ""}, DEVELOPER, {}, ["output-context-missing"]),
        ({"findings": (FAILED,)}, DEVELOPER, {}, ["output-check-failed"]),
        ({"findings": (FAILED, FAILED)}, DEVELOPER, {}, ["output-check-failed"] * 2),
        ({"findings": (replace(FAILED, verdict=CheckVerdict.REVIEW),)}, DEVELOPER, {}, []),
        ({}, DEVELOPER, {"faults": (FAULT,)}, ["test-grant-ended"]),
        (
            {},
            DEVELOPER,
            {"entitlement": samples.entitlement(status=EntitlementStatus.ENDED)},
            ["output-entitlement-ended"],
        ),
        ({}, DEVELOPER, {"now": samples.NOW + timedelta(days=400)}, ["output-entitlement-ended"]),
    ],
)
def test_an_author_submits_what_no_check_stops(changes, party, standing, expected):
    decision = reviews.decide_submit(samples.output(**changes), party, samples.output_standing(**standing))
    assert codes(decision) == expected


@pytest.mark.parametrize("status", list(S))
def test_each_status_permits_its_own_actions_only(status):
    output = samples.output(status=status, votes=(samples.vote(SECURITY, "one"), samples.vote(CONFORMITY, "two")))
    standing = samples.output_standing()
    submitted = reviews.decide_submit(output, DEVELOPER, standing)
    released = reviews.decide_release(output, OPERATOR, standing, reviews_min=2)
    voted = reviews.decide_vote(replace(output, votes=()), samples.vote(SECURITY, "one"), is_related=False)
    assert isinstance(submitted, Permitted) == (status is S.QUARANTINED)
    assert isinstance(voted, Permitted) == (status is S.IN_REVIEW)
    assert isinstance(released, Permitted) == (status is S.APPROVED)


def test_every_status_but_the_last_ones_leads_somewhere():
    final = {S.RELEASED, S.REJECTED, S.VOID, S.STOPPED}
    assert {status for status, _ in reviews.OUTPUT_TRANSITIONS} == set(S) - final


IN_REVIEW = samples.output(status=S.IN_REVIEW)


@pytest.mark.parametrize(
    ("vote", "is_related", "expected"),
    [
        ({}, False, []),
        ({"reviewer": "developer-person"}, False, ["reviewer-is-author"]),
        ({"party": DEVELOPER}, False, ["reviewer-related"]),
        ({}, True, ["reviewer-related"]),
        ({"output_digest": "0" * 64}, False, ["review-digest-stale"]),
        ({"output_digest": ""}, False, ["review-digest-stale"]),
        ({"reason": ""}, False, ["review-reason-missing"]),
        ({"reviewer": "developer-person", "party": DEVELOPER, "reason": ""}, True,
         ["reviewer-is-author", "reviewer-related", "review-reason-missing"]),
    ],
)  # fmt: skip
def test_a_reviewer_is_somebody_else_who_looked_at_these_bytes(vote, is_related, expected):
    given = replace(samples.vote(SECURITY, "one"), **vote)
    assert codes(reviews.decide_vote(IN_REVIEW, given, is_related=is_related)) == expected


def test_two_reviews_are_made_by_two_people():
    first = reviews.decide_vote(IN_REVIEW, samples.vote(SECURITY, "one"), is_related=False).value_or_raise()
    assert first.status is S.IN_REVIEW
    same_kind = reviews.decide_vote(first, samples.vote(SECURITY, "two"), is_related=False)
    same_person = reviews.decide_vote(first, samples.vote(CONFORMITY, "one"), is_related=False)
    assert codes(same_kind) == ["review-kind-taken"]
    assert codes(same_person) == ["reviewer-voted-already"]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(True, True, S.APPROVED), (True, False, S.REJECTED), (False, True, S.REJECTED), (False, False, S.REJECTED)],
)
def test_both_reviews_must_approve(first, second, expected):
    one = reviews.decide_vote(
        IN_REVIEW, samples.vote(SECURITY, "one", approves=first), is_related=False
    ).value_or_raise()
    assert one.status is S.IN_REVIEW, "the first vote alone decides nothing, not even a rejection"
    two = reviews.decide_vote(one, samples.vote(CONFORMITY, "two", approves=second), is_related=False).value_or_raise()
    assert two.status is expected


def test_votes_outside_a_review_move_nothing():
    both = (samples.vote(SECURITY, "one"), samples.vote(CONFORMITY, "two"))
    assert reviews.status_after(S.RELEASED, both) is S.RELEASED


BOTH = (samples.vote(SECURITY, "one"), samples.vote(CONFORMITY, "two"))


@pytest.mark.parametrize(
    ("changes", "party", "standing", "expected"),
    [
        ({}, OPERATOR, {}, []),
        ({}, BANK, {}, ["release-not-operator"]),
        ({"votes": ()}, OPERATOR, {}, ["reviews-incomplete"]),
        ({"votes": BOTH[:1]}, OPERATOR, {}, ["reviews-incomplete"]),
        ({"votes": (BOTH[0], replace(BOTH[1], approves=False))}, OPERATOR, {}, ["reviews-incomplete"]),
        ({"votes": (BOTH[0], replace(BOTH[1], output_digest="0"))}, OPERATOR, {}, ["reviews-incomplete"]),
        ({"votes": (BOTH[0], replace(BOTH[1], reviewer="one"))}, OPERATOR, {}, ["reviews-incomplete"]),
        ({"files": (replace(samples.FILE, sha256="0"),)}, OPERATOR, {}, ["reviews-incomplete"]),
        ({"findings": (FAILED,)}, OPERATOR, {}, ["output-check-failed"]),
        ({}, OPERATOR, {"faults": (FAULT,)}, ["test-grant-ended"]),
        (
            {},
            OPERATOR,
            {"entitlement": samples.entitlement(status=EntitlementStatus.ENDED)},
            ["output-entitlement-ended"],
        ),
    ],
)
def test_a_release_rests_on_two_approvals_of_these_bytes(changes, party, standing, expected):
    output = samples.output(**({"status": S.APPROVED, "votes": BOTH} | changes))
    decision = reviews.decide_release(output, party, samples.output_standing(**standing), reviews_min=2)
    assert codes(decision) == expected


def test_a_parameter_below_the_law_lowers_nothing_and_one_above_it_counts():
    output = samples.output(status=S.APPROVED, votes=BOTH[:1])
    standing = samples.output_standing()
    assert codes(reviews.decide_release(output, OPERATOR, standing, reviews_min=1)) == ["reviews-incomplete"]
    both = replace(output, votes=BOTH)
    assert codes(reviews.decide_release(both, OPERATOR, standing, reviews_min=3)) == ["reviews-incomplete"]


@pytest.mark.parametrize(
    ("status", "party", "is_reviewer", "is_related", "permitted"),
    [
        (S.IN_REVIEW, BUREAU, True, False, True), (S.QUARANTINED, BUREAU, True, False, False),
        (S.IN_REVIEW, BUREAU, True, True, False), (S.IN_REVIEW, DEVELOPER, True, False, False),
        (S.IN_REVIEW, DEVELOPER, False, False, False), (S.APPROVED, OPERATOR, False, False, False),
        (S.RELEASED, DEVELOPER, False, False, True), (S.RELEASED, OPERATOR, False, False, True),
        (S.RELEASED, BANK, False, False, False),
    ],
)  # fmt: skip
def test_rows_are_seen_by_unrelated_reviewers_and_after_the_release_by_its_parties(
    status, party, is_reviewer, is_related, permitted
):
    decision = reviews.decide_preview(
        samples.output(status=status), party, is_reviewer=is_reviewer, is_related=is_related
    )
    assert isinstance(decision, Permitted) == permitted


def test_a_vote_stays_hidden_until_both_are_in():
    one = samples.output(status=S.IN_REVIEW, votes=BOTH[:1])
    assert reviews.hide_votes(one, "one").votes == BOTH[:1]
    assert reviews.hide_votes(one, "two").votes == ()
    assert reviews.hide_votes(replace(one, votes=BOTH), "two").votes == BOTH
