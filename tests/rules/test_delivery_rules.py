"""Who gets a key, which snapshot is believed, and what a product call must be like."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gongshu.access.types import Actor, Role
from gongshu.base.days import Period
from gongshu.base.decisions import RULES, Denied, Kind, Permitted
from gongshu.base.digest import Ref
from gongshu.base.ids import ContractId, GrantId, KeyId, PartyId, PersonId, ProductId
from gongshu.compute.types import VerificationDefinition, VerificationField
from gongshu.delivery import rules
from gongshu.delivery.types import ApiKey, SnapshotContract, SnapshotHead
from gongshu.metering.types import ResultCode
from gongshu.policies.types import UsagePolicy
from gongshu.products.types import Contract, ContractStatus, ContractTerms, Definition, ProductKind

NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)
BANK = Actor(PersonId("person-bank"), PartyId("bank"), frozenset({Role.CONSUMER}))
POLICY = UsagePolicy(("inclusive-finance",), Period(NOW, NOW + timedelta(days=30)), 100, 10, 5)
CONTRACT = Contract(
    id=ContractId("contract-1"), code="4", status=ContractStatus.PERFORMING, created_at=NOW,
    terms=ContractTerms(
        order=Ref("order", "o", "d"), product=Ref("product", "p", "d"), product_id=ProductId("p"), grant=GrantId("g"),
        operator=PartyId("operator"), consumer=PartyId("bank"), tiers=(), charges_no_record=False, policy=POLICY,
    ),
)  # fmt: skip
KEY = ApiKey(KeyId("key-1"), CONTRACT.id, PartyId("bank"), BANK.person, "ab", NOW)
SERVED = SnapshotContract(CONTRACT.id, "d", ProductId("p"), PartyId("bank"), POLICY, False, False, {})
DEFINITION = VerificationDefinition(
    "enterprise",
    (
        VerificationField("credit_code", "统一社会信用代码", is_required=True, is_key=True),
        VerificationField("name", "企业名称", is_required=True),
        VerificationField("legal_representative", "法人代表", is_required=False),
    ),
)
INPUTS = rules.inputs_of(ProductKind.VERIFY, Definition(verification=DEFINITION))


def codes(decision) -> list[str]:
    return [reason.code for reason in decision.reasons]


@pytest.mark.parametrize(
    ("contract", "key", "in_use", "expected"),
    [
        (CONTRACT, KEY, 0, []),
        (CONTRACT, KEY, rules.KEYS_PER_CONTRACT_MAX - 1, []),
        (CONTRACT, KEY, rules.KEYS_PER_CONTRACT_MAX, ["keys-too-many"]),
        (CONTRACT, replace(KEY, party=PartyId("operator")), 0, ["not-found"]),
        (replace(CONTRACT, status=ContractStatus.NEGOTIATING), KEY, 0, ["key-contract-not-performing"]),
        (replace(CONTRACT, status=ContractStatus.SIGNED_BY_OPERATOR), KEY, 0, ["key-contract-not-performing"]),
        (
            replace(CONTRACT, status=ContractStatus.TERMINATED),
            KEY,
            20,
            ["key-contract-not-performing", "keys-too-many"],
        ),
    ],
)
def test_a_key_is_made_by_the_consumer_of_a_contract_that_is_performed(contract, key, in_use, expected):
    assert codes(rules.decide_create_key(contract, key, in_use)) == expected


def test_a_key_is_revoked_once_by_the_organisation_that_holds_it():
    revoked = rules.decide_revoke_key(KEY, BANK, NOW)
    assert isinstance(revoked, Permitted)
    assert revoked.value.revoked_at == NOW
    assert codes(rules.decide_revoke_key(revoked.value, BANK, NOW)) == ["key-revoked-already"]
    assert codes(rules.decide_revoke_key(KEY, replace(BANK, party=PartyId("shop")), NOW)) == ["not-found"]


def reason(code: str):
    if code not in RULES:
        rules.rule(code, Kind.CONFLICT, zh="", en="", fix_zh="", fix_en="")
    return replace(RULES[code].because(), facts=())


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], ""),
        (["contract-period-over"], ""),  # the gateway's clock decides that
        (["contract-not-performing"], "contract-stopped"),
        (["contract-not-performing", "product-stopped", "product-grant-ended"], "grant-ended"),
        (["product-grant-ended"], "grant-ended"),
        (["contract-period-over", "product-entitlement-ended"], "contract-stopped"),
    ],
)
def test_what_stops_a_contract_is_told_in_one_code(found, expected):
    import gongshu.products.rules  # noqa: F401 - registers the reasons

    assert rules.stop_code(tuple(reason(code) for code in found)) == expected


@pytest.mark.parametrize(("stop", "code"), [("grant-ended", "grant-ended"), ("contract-stopped", "contract-stopped")])
def test_a_stopped_contract_has_a_reason(stop, code):
    assert rules.stop_reason(replace(SERVED, stop_code=stop)).code == code
    assert rules.stop_reason(SERVED) is None


def snapshot(number: int, *, minutes: int = 0) -> SnapshotHead:
    return SnapshotHead(number, NOW + timedelta(minutes=minutes), 3600, (), ())


@pytest.mark.parametrize(
    ("candidate", "seen", "is_adopted"),
    [
        (snapshot(1), None, True),
        (snapshot(2), (1, NOW), True),
        (snapshot(2, minutes=-9), (1, NOW), True),  # a higher number counts, whatever a clock did
        (snapshot(1, minutes=1), (1, NOW), True),  # issued again
        (snapshot(1), (1, NOW), True),  # the same
        (snapshot(1, minutes=-1), (1, NOW), False),
        (snapshot(1, minutes=9), (2, NOW), False),
    ],
)
def test_a_snapshot_older_than_one_that_was_seen_is_refused(candidate, seen, is_adopted):
    decision = rules.decide_adopt(candidate, seen)
    assert isinstance(decision, Permitted) is is_adopted
    assert codes(decision) == ([] if is_adopted else ["snapshot-rolled-back"])


@pytest.mark.parametrize(
    ("seconds", "is_too_old"), [(0, False), (3599, False), (3600, True), (-60, False), (-61, True), (10**7, True)]
)
def test_a_snapshot_serves_for_its_stated_age_and_not_from_the_future(seconds, is_too_old):
    assert rules.life_of(snapshot(1)).holds(NOW + timedelta(seconds=seconds)) is not is_too_old


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body-empty"), (b"{", "body-invalid"), (b"[]", "body-invalid"), (b'{"a": 1}', "body-invalid"),
        (b'{"a": null}', "body-invalid"), (b'{"a": "\xff"}', "body-invalid"), (b'"a"', "body-invalid"),
        (b"[" * 100_000, "body-invalid"), (b'{"a": {"b": "c"}}', "body-invalid"),
    ],
)  # fmt: skip
def test_a_body_that_is_not_a_flat_object_of_texts_is_refused(body, code):
    assert codes(rules.decide_body(body)) == [code]


def test_a_body_gives_its_fields():
    assert rules.decide_body('{"name": "甲"}'.encode()) == Permitted({"name": "甲"})


LONG = "x" * (rules.FIELD_CHARS_MAX + 1)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"credit_code": "1", "name": "a"}, []),
        ({"credit_code": "1", "name": "a", "legal_representative": "b"}, []),
        ({"credit_code": "1", "name": "a", "legal_representative": ""}, []),
        ({"credit_code": "1"}, ["call-field-missing"]),
        ({"credit_code": " ", "name": ""}, ["call-field-missing", "call-field-missing"]),
        ({"credit_code": "1", "name": LONG}, ["call-field-too-long"]),
        ({"credit_code": "1", "name": "a", "phone": "1", LONG: LONG}, ["call-fields-unknown"]),
        ({}, ["call-field-missing", "call-field-missing"]),
    ],
)
def test_input_fields_are_those_of_the_product(fields, expected):
    found = rules.field_reasons(fields, INPUTS)
    assert [item.code for item in found] == expected
    assert LONG not in "".join(item.what.zh + item.what.en + item.fix.zh + item.fix.en for item in found)
    if rules.are_plainly_right(fields, rules.names_of(INPUTS)):
        assert not expected  # the quick look never lets through what is wrong


@pytest.mark.parametrize(
    ("request_id", "code"),
    [
        ("r-1", ""), ("A" * 64, ""), ("2026:11.20_7", ""), ("", "request-id-missing"), ("A" * 65, "request-id-invalid"),
        ("-a", "request-id-invalid"), ("a b", "request-id-invalid"), ("编号", "request-id-invalid"),
        ("a\n", "request-id-invalid"), ("<script>", "request-id-invalid"),
    ],
)  # fmt: skip
def test_a_request_id_is_short_and_plain(request_id, code):
    found = rules.request_id_reason(request_id)
    assert (found.code if found else "") == code


@pytest.mark.parametrize(
    ("result", "charges_no_record", "is_free", "is_charged"),
    [
        (ResultCode.MATCH, False, False, True), (ResultCode.MISMATCH, False, False, True),
        (ResultCode.NO_RECORD, False, False, False), (ResultCode.NO_RECORD, True, False, True),
        (ResultCode.REFUSED, True, False, False), (ResultCode.ERROR, True, False, False),
        (ResultCode.MATCH, True, True, False), (ResultCode.NO_RECORD, True, True, False),
    ],
)  # fmt: skip
def test_match_and_mismatch_charge_no_record_by_rule_and_errors_never(result, charges_no_record, is_free, is_charged):
    contract = replace(SERVED, charges_no_record=charges_no_record, is_free=is_free)
    assert rules.is_charged(contract, result) is is_charged


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("calls-used-up", 12007), ("calls-used-up-today", 12008), ("too-many-per-second", 12010),
        ("contract-expired", 12002), ("body-invalid", 11003), ("call-field-missing", 11005), ("body-too-long", 11004),
        ("body-empty", 11001), ("key-unknown", 12001), ("something else", 13000),
    ],
)  # fmt: skip
def test_refusals_carry_the_numbers_of_ndi_tr_2025_05(code, number):
    assert rules.ndi_code(code) == number


def test_every_numbered_code_is_a_rule():
    import gongshu.policies.service  # noqa: F401 - registers the reasons

    assert set(rules.NDI_CODES) <= set(RULES)


def test_a_denied_body_repeats_nothing():
    decision = rules.decide_body(b'{"name": 12345678}')
    assert isinstance(decision, Denied)
    (found,) = decision.reasons
    assert "12345678" not in found.what.zh + found.what.en + found.fix.zh + found.fix.en
