"""Who may become a party, a person, a signed-in person."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gongshu.access.types import Actor, Role
from gongshu.base.decisions import Denied, Permitted
from gongshu.base.ids import PartyId, PersonId
from gongshu.parties import rules
from gongshu.parties.types import ANONYMOUS, ApiToken, Party, Password, Person, Session
from gongshu.server.wiring import load_parameters

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
PARTY = Party(PartyId("bank"), "银行", "91370200MA0000005H", frozenset({Role.CONSUMER}), "370200")
PERSON = Person(PersonId("p"), PartyId("bank"), "信达", "xin.da", frozenset({Role.CONSUMER}))
GOOD_PASSWORD = "correct-horse-7"


@pytest.mark.parametrize(
    "code",
    [
        "91350000MA0000000F", "11450000MA0000001H", "12450000MA0000002H", "11450100MA0000003W", "91110000MA0000004X",
        "91370200MA0000005H", "91330300MA00000069",
    ],
)  # fmt: skip
def test_credit_codes_of_the_standards_vectors_pass(code):
    assert rules.credit_code_fault(code) is None


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("91350000MA0000000X", "its check character does not fit"),
        ("91350000MA0000000", "it has not 18 characters"),
        ("91350000MA000000IF", "it holds a character outside the alphabet"),
        ("", "it has not 18 characters"),
    ],
)
def test_wrong_credit_codes_are_named(code, fault):
    assert rules.credit_code_fault(code)[1] == fault


def codes(decision):
    return [reason.code for reason in decision.reasons]


def decide_party(party, *, holder=None, is_id_taken=False, known=()):
    return rules.decide_party(party, holder_of_code=holder, is_id_taken=is_id_taken, known=known)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"region": "3702"}, []),
        ({"credit_code": "91370200MA0000005X"}, ["credit-code-wrong"]),
        ({"name": " "}, ["party-field-wrong"]),
        ({"name": "长" * 201}, ["party-field-wrong"]),
        ({"region": "青岛"}, ["party-field-wrong"]),
        ({"region": "37020"}, ["party-field-wrong"]),
        ({"roles": frozenset()}, ["party-field-wrong"]),
        ({"roles": frozenset({Role.PUBLIC})}, ["party-field-wrong"]),
        ({"roles": frozenset({Role.REGISTRAR})}, ["registrar-not-public-institution"]),
        ({"roles": frozenset({Role.REGISTRAR}), "is_public_institution": True}, []),
        ({"affiliates": frozenset({PartyId("stranger")})}, ["affiliate-unknown"]),
        ({"affiliates": frozenset({PartyId("friend")})}, []),
        (
            {"credit_code": "x", "name": "", "roles": frozenset({Role.REGISTRAR})},
            ["credit-code-wrong", "party-field-wrong", "registrar-not-public-institution"],
        ),
    ],
)
def test_an_organisation_is_admitted_only_in_order_and_every_fault_is_told(changed, expected):
    assert codes(decide_party(replace(PARTY, **changed), known={"friend"})) == expected


def test_a_second_organisation_with_the_same_code_is_a_duplicate():
    assert codes(decide_party(PARTY, holder=replace(PARTY, id=PartyId("first")))) == ["party-exists"]


def test_a_taken_id_is_refused():
    assert codes(decide_party(PARTY, is_id_taken=True)) == ["party-id-taken"]


def test_affiliates_declared_later_must_be_known_and_never_include_oneself():
    decision = rules.decide_affiliates(PARTY, frozenset({PartyId("bank"), PartyId("friend")}), {"friend"})
    assert decision.value_or_raise().affiliates == {"friend"}
    assert codes(rules.decide_affiliates(PARTY, frozenset({PartyId("x")}), {"friend"})) == ["affiliate-unknown"]


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (set(), set(), False),
        ({"b"}, set(), True),
        (set(), {"a"}, True),
        ({"holding"}, {"holding"}, True),
        ({"x"}, {"y"}, False),
    ],
)
def test_related_means_affiliate_either_way_or_a_common_one(ours, theirs, expected):
    one = replace(PARTY, id=PartyId("a"), affiliates=frozenset(ours))
    other = replace(PARTY, id=PartyId("b"), affiliates=frozenset(theirs))
    assert rules.are_related(one, other) is expected
    assert rules.are_related(other, one) is expected
    assert rules.are_related(one, one)


@pytest.mark.parametrize(
    ("password", "missing"),
    [
        (GOOD_PASSWORD, 0),
        ("短aB1-", 1),
        ("abcdefgh-", 1),
        ("12345678-", 1),
        ("abcdefg1", 1),
        ("", 4),
        ("a1-" * 100, 1),
    ],
)
def test_a_password_has_letters_digits_special_characters_and_length(password, missing):
    assert len(rules.password_faults(password, 8)) == missing


@pytest.mark.parametrize(
    ("changed", "password", "is_taken", "expected"),
    [
        ({}, GOOD_PASSWORD, False, []),
        ({"roles": frozenset({Role.CONSUMER, Role.PUBLIC})}, GOOD_PASSWORD, False, []),
        ({"roles": frozenset({Role.OPERATOR, Role.AUDITOR})}, GOOD_PASSWORD, False, ["role-not-of-party"] * 2),
        ({"login": "A"}, GOOD_PASSWORD, False, ["login-wrong"]),
        ({"login": "-x"}, GOOD_PASSWORD, False, ["login-wrong"]),
        ({"name": ""}, GOOD_PASSWORD, False, ["party-field-wrong"]),
        ({}, GOOD_PASSWORD, True, ["login-taken"]),
        ({}, "short", False, ["password-weak"]),
    ],
)
def test_a_person_acts_only_in_roles_of_the_organisation(changed, password, is_taken, expected):
    decision = rules.decide_person(
        replace(PERSON, **changed), PARTY, password=password, chars_min=8, is_login_taken=is_taken
    )
    assert codes(decision) == expected


def count(password, *, matches, now=NOW):
    return rules.count_attempt(password, matches=matches, failures_max=3, lock=timedelta(minutes=15), now=now)


def test_the_last_allowed_failure_locks_and_the_right_password_does_not_open_a_lock():
    password = Password(PersonId("p"), "hash")
    for failures in (1, 2):
        password, cause = count(password, matches=False)
        assert (password.failures, password.locked_until, cause) == (failures, None, "wrong-password")
    password, cause = count(password, matches=False)
    assert (password.locked_until, cause) == (NOW + timedelta(minutes=15), "wrong-password")
    assert count(password, matches=True) == (password, "locked")
    assert count(password, matches=True, now=NOW + timedelta(minutes=14, seconds=59)) == (password, "locked")


def test_after_a_lock_has_run_out_counting_starts_anew():
    locked = Password(PersonId("p"), "hash", failures=3, locked_until=NOW)
    assert count(locked, matches=False)[0] == Password(PersonId("p"), "hash", failures=1)
    assert count(locked, matches=True) == (Password(PersonId("p"), "hash"), "")


def test_success_forgets_earlier_failures():
    assert count(Password(PersonId("p"), "hash", failures=2), matches=True) == (Password(PersonId("p"), "hash"), "")


def test_the_refusal_of_a_sign_in_says_nothing_but_the_limits():
    refusal = rules.sign_in_refusal(load_parameters(), NOW.date())
    assert codes(refusal) == ["sign-in-failed"]
    assert set(dict(refusal.reasons[0].facts)) == {"failures_max", "lock_minutes"}


def test_an_actor_has_only_roles_that_the_organisation_still_holds():
    person = replace(PERSON, roles=frozenset({Role.CONSUMER, Role.OPERATOR, Role.PUBLIC}))
    assert rules.actor_of(person, PARTY).roles == {Role.CONSUMER, Role.PUBLIC}


@pytest.mark.parametrize(("later", "expected"), [(0, False), (59, False), (60, True), (61, True)])
def test_credentials_expire_at_their_last_instant(later, expected):
    session = Session("s", PersonId("p"), "csrf", NOW, NOW + timedelta(seconds=60))
    token = ApiToken("t", PersonId("p"), "", NOW, NOW + timedelta(seconds=60))
    assert rules.has_expired(session, NOW + timedelta(seconds=later)) is expected
    assert rules.has_expired(token, NOW + timedelta(seconds=later)) is expected


@pytest.mark.parametrize(
    ("person", "is_demo", "expected"),
    [
        (PERSON, True, []),
        (PERSON, False, ["demo-only"]),
        (None, True, ["sign-in-failed"]),
        (replace(PERSON, is_active=False), True, ["sign-in-failed"]),
    ],
)
def test_one_click_sign_in_is_for_the_demo_only(person, is_demo, expected):
    refusal = rules.sign_in_refusal(load_parameters(), NOW.date())
    assert codes(rules.decide_demo(person, is_demo=is_demo, refusal=refusal)) == expected


@pytest.mark.parametrize(
    ("days", "expected"), [(1, []), (365, []), (0, ["token-term-wrong"]), (366, ["token-term-wrong"])]
)
def test_a_token_lives_for_a_limited_number_of_days(days, expected):
    token = ApiToken("t", PersonId("p"), "", NOW, NOW)
    actor = Actor(PersonId("p"), PartyId("bank"), frozenset({Role.CONSUMER}))
    assert codes(rules.decide_token(actor, token, days=days, days_max=365)) == expected
    assert codes(rules.decide_token(ANONYMOUS, token, days=days, days_max=365)) == ["not-signed-in", *expected]


def test_only_an_empty_installation_is_bootstrapped():
    assert isinstance(rules.decide_bootstrap(PARTY, is_empty=True), Permitted)
    assert codes(rules.decide_bootstrap(PARTY, is_empty=False)) == ["installation-not-empty"]
    assert isinstance(rules.decide_signed_in(ANONYMOUS), Denied)
