"""What a consent token proves, and what a call with one must agree with."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongshu.base.days import Period
from gongshu.base.ids import ConsentId, ContractId, PartyId, PersonId, ProductId
from gongshu.catalog.types import DataType
from gongshu.compute.rules import lookups
from gongshu.compute.types import LookupDefinition, VerificationDefinition
from gongshu.consents import rules
from gongshu.consents.types import Consent, ConsentStatus, ConsentTerms
from gongshu.products.types import Definition, ProductKind
from tests import samples

NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)
SEED, OTHER_SEED = b"\x07" * 32, b"\x08" * 32
SUBJECT = b"\x01" * 32
TERMS = ConsentTerms(
    SUBJECT.hex(), PartyId("bank"), "inclusive-finance", ProductId("product-1"), "ab" * 32,
    Period(NOW, NOW + timedelta(days=30)),
)  # fmt: skip
CONSENT = Consent(
    ConsentId("consent-1"), TERMS, ContractId("contract-1"), PartyId("operator"), PersonId("desk"), "cd" * 32,
    ConsentStatus.GIVEN, NOW,
)  # fmt: skip
ASKED = {
    "subject": SUBJECT, "consumer": PartyId("bank"), "purpose": "inclusive-finance", "product": "product-1",
    "product_digest": "ab" * 32, "now": NOW + timedelta(days=1), "is_withdrawn": False,
}  # fmt: skip


def reasons(**changes) -> list[str]:
    claim = rules.read_token(rules.token_of(CONSENT, SEED), rules.public_key_of(SEED))
    assert claim is not None
    return [reason.code for reason in rules.claim_reasons(claim, **(ASKED | changes))]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"subject": b""}, ["consent-other-subject"]),  # the input names nobody
        ({"subject": b"\x02" * 32}, ["consent-other-subject"]),
        ({"consumer": PartyId("shop")}, ["consent-other-consumer"]),
        ({"purpose": "marketing"}, ["consent-other-purpose"]),
        ({"product": "product-2"}, ["consent-other-product"]),
        ({"product_digest": "cd" * 32}, ["consent-other-product"]),
        ({"now": NOW - timedelta(minutes=2)}, ["consent-not-yet"]),
        ({"now": NOW - timedelta(seconds=30)}, []),  # clocks differ a little
        ({"now": NOW + timedelta(days=30)}, ["consent-expired"]),
        ({"is_withdrawn": True}, ["consent-withdrawn"]),
        ({"is_withdrawn": True, "purpose": "x", "consumer": PartyId("y")},
         ["consent-withdrawn", "consent-other-consumer", "consent-other-purpose"]),
    ],
)  # fmt: skip
def test_a_consent_permits_what_was_agreed_to_and_all_reasons_are_told(changes, expected):
    assert reasons(**changes) == expected


def test_a_token_tells_nobody_whom_it_is_about_and_only_its_signer_can_make_it():
    token = rules.token_of(CONSENT, SEED)
    assert token == rules.token_of(CONSENT, SEED)
    assert rules.read_token(token, rules.public_key_of(OTHER_SEED)) is None
    assert rules.read_token(rules.token_of(CONSENT, OTHER_SEED), rules.public_key_of(SEED)) is None
    assert len(token) < rules.TOKEN_CHARS_MAX / 2


@given(st.text(max_size=300), st.integers(0, 400), st.integers(1, 255))
def test_no_other_text_is_a_token(text, at, bits):
    public = rules.public_key_of(SEED)
    assert rules.read_token(text, public) is None
    assert rules.read_token(rules.PREFIX + text, public) is None
    token = rules.token_of(CONSENT, SEED)
    at = len(rules.PREFIX) + at % (len(token) - len(rules.PREFIX) - 1)  # of the last character some bits mean nothing
    changed = token[:at] + chr(ord(token[at]) ^ bits) + token[at + 1 :]
    assert rules.read_token(changed, public) is None


@given(st.lists(st.text(min_size=1, max_size=8), max_size=4), st.lists(st.text(min_size=1, max_size=8), max_size=4))
def test_two_different_inputs_never_have_one_form(one, other):
    assert (lookups.form_of(one) == lookups.form_of(other)) == (one == other)


def test_a_subject_is_one_however_its_code_is_written():
    asked = [("code", DataType.TEXT), ("born", DataType.DATE)]
    forms = {
        lookups.subject_form(asked, {"code": code, "born": born})
        for code in ("91ab", " 91 AB ", "９１ａｂ")
        for born in ("2001-02-03", "2001年2月3日", "20010203")
    }
    assert len(forms) == 1
    assert lookups.subject_form(asked, {"code": "91ab"}) is None


@pytest.mark.parametrize(
    ("kind", "definition", "expected"),
    [
        (ProductKind.LOOKUP, Definition(lookup=LookupDefinition("r", (), ())), True),
        (ProductKind.VERIFY, Definition(verification=VerificationDefinition("r", ())), False),
        (ProductKind.VERIFY, Definition(verification=VerificationDefinition("r", (), needs_consent=True)), True),
        (ProductKind.TABLE, Definition(), False),
    ],
)
def test_look_ups_always_need_consent_and_verifications_where_they_say_so(kind, definition, expected):
    assert rules.needs_consent(samples.product(kind=kind, definition=definition)) is expected


def test_a_withdrawal_is_made_once():
    gone = rules.decide_withdraw(CONSENT, NOW, "subject").value_or_raise()
    assert (gone.status, gone.withdrawn_at, gone.withdrawn_by) == (ConsentStatus.WITHDRAWN, NOW, "subject")
    assert gone.ref == CONSENT.ref  # what was agreed to stays what it was
    assert [reason.code for reason in rules.decide_withdraw(gone, NOW, "desk").reasons] == ["wrong-status"]
    assert rules.is_secret(CONSENT, "cd" * 32)
    assert not rules.is_secret(replace(CONSENT, secret_sha256="ef" * 32), "cd" * 32)
