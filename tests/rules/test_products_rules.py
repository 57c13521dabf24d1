"""Who may make, list, order and sign what, and for how much."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gongshu.base import identifiers
from gongshu.base.days import Period
from gongshu.base.decisions import Decision, Kind, Permitted, rule
from gongshu.base.money import Tier
from gongshu.compute.types import JobKind, OutputFile
from gongshu.grants.types import ProductClass
from gongshu.products import rules
from gongshu.products.types import ContractStatus, ListingStatus, OrderStatus, ProductKind, ProductStatus
from gongshu.scenarios.types import EntitlementStatus
from tests import samples
from tests.samples import BANK, NOW, OPERATOR, PURPOSE

ENDED = rule("test-grant-ended", Kind.CONFLICT, zh="a", en="a", fix_zh="a", fix_en="a").because()


def codes(decision: Decision[object]) -> list[str]:
    return [reason.code for reason in decision.reasons]


# ------------------------------------------------------------------------------------------------------- products


@pytest.mark.parametrize(
    ("changes", "party", "expected"),
    [
        ({}, OPERATOR, []),
        ({}, BANK, ["product-not-yours"]),
        ({"product": samples.product(title="")}, OPERATOR, ["product-title-missing"]),
        ({"product": samples.product(summary="")}, OPERATOR, ["product-title-missing"]),
        ({"product": samples.product(artifact_sha256="")}, OPERATOR, ["product-artifact-missing"]),
        ({"product": samples.product(purpose="advertising")}, OPERATOR, ["product-purpose-outside"]),
        ({"entitlement": samples.entitlement(status=EntitlementStatus.ENDED)}, OPERATOR, ["product-entitlement-ended"]),
        ({"now": NOW + timedelta(days=400)}, OPERATOR, ["product-entitlement-ended"]),
        ({"faults": (ENDED,)}, OPERATOR, ["product-grant-ended", "test-grant-ended"]),
    ],
)
def test_a_product_is_defined_by_the_operator_within_its_entitlement(changes, party, expected):
    assert codes(rules.decide_define(samples.standing(**changes), party, JobKind.VERIFICATION)) == expected


def test_all_reasons_against_a_product_are_returned_at_once():
    bad = samples.standing(product=samples.product(title="", purpose="x"), faults=(ENDED,))
    assert len(rules.decide_define(bad, BANK, JobKind.VERIFICATION).reasons) == 5


def test_the_artifact_is_what_can_be_served_not_what_describes_it():
    described, hashes = OutputFile("definition.json", "a", 1, 1), OutputFile("hashes.lmdb", "b", 1, 1)
    assert rules.artifact_of((described, hashes), ProductKind.VERIFY) == hashes
    assert rules.artifact_of((described,), ProductKind.VERIFY) is None


# ------------------------------------------------------------------------------------------------------- listings


@pytest.mark.parametrize(
    ("tiers", "expected"),
    [
        ((Tier(None, "6.00"),), []),
        ((Tier(None, "6.01"),), ["listing-above-ceiling"]),
        ((Tier(10, "9"), Tier(None, "7")), ["listing-above-ceiling", "listing-above-ceiling"]),
        ((Tier(None, "0"),), []),
        ((), ["listing-tiers-invalid"]),
        ((Tier(10, "1"),), ["listing-tiers-invalid"]),
        ((Tier(10, "1"), Tier(10, "1"), Tier(None, "1")), ["listing-tiers-invalid"]),
        ((Tier(None, "-1"),), ["listing-tiers-invalid"]),
        ((Tier(None, "1/3"),), ["listing-tiers-invalid"]),
        ((Tier(None, "1e2"),), ["listing-tiers-invalid"]),
        ((Tier(None, "0.1234567"),), ["listing-tiers-invalid"]),
        ((Tier(None, ""),), ["listing-tiers-invalid"]),
        ((Tier(10**12, "1"), Tier(None, "1")), []),
        ((Tier(10**12 + 1, "1"), Tier(None, "1")), ["listing-tiers-invalid"]),
    ],
)
def test_every_tier_of_a_price_stays_under_the_ceiling(tiers, expected):
    listing = samples.listing(tiers=tiers)
    assert codes(rules.decide_list(listing, samples.standing(), (), OPERATOR)) == expected


@pytest.mark.parametrize(("rate", "expected"), [("0", []), ("0.00", []), ("0.01", ["listing-public-charges"])])
def test_the_public_class_is_free(rate, expected):
    free = samples.standing(product=samples.product(product_class=ProductClass.PUBLIC))
    assert codes(rules.decide_list(samples.listing(tiers=(Tier(None, rate),)), free, (), OPERATOR)) == expected


def test_one_product_has_one_price_for_everybody():
    other = samples.listing(id="listing-0")
    again = rules.decide_list(samples.listing(), samples.standing(), (other,), OPERATOR)
    assert codes(again) == ["listing-exists"]
    gone = replace(other, status=ListingStatus.DELISTED)
    assert isinstance(rules.decide_list(samples.listing(), samples.standing(), (gone,), OPERATOR), Permitted)


def test_a_stopped_product_cannot_be_listed():
    stopped = samples.standing(product=samples.product(status=ProductStatus.STOPPED))
    assert codes(rules.decide_list(samples.listing(), stopped, (), BANK)) == ["product-not-yours", "product-stopped"]


def test_only_its_operator_delists_once():
    assert codes(rules.decide_delist(samples.listing(), BANK)) == ["product-not-yours"]
    gone = rules.decide_delist(samples.listing(), OPERATOR).value_or_raise()
    assert gone.status is ListingStatus.DELISTED
    assert codes(rules.decide_delist(gone, OPERATOR)) == ["wrong-status"]


# --------------------------------------------------------------------------------------------------------- orders


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, []),
        ({"purposes": ()}, ["order-purpose-missing"]),
        ({"purposes": (PURPOSE, "advertising")}, ["order-purpose-outside"]),
        ({"period": Period(NOW, NOW)}, ["order-period-invalid"]),
        ({"period": Period(NOW - timedelta(days=5), NOW)}, ["order-period-invalid"]),
        ({"period": Period(NOW, NOW + timedelta(days=400))}, ["order-period-outside"]),
        ({"period": Period(NOW - timedelta(days=20), NOW + timedelta(days=4))}, ["order-period-outside"]),
        ({"calls_max": 0}, ["order-limit-invalid"]),
        ({"calls_max": 10**12}, []),
        ({"calls_max": 10**12 + 1}, ["order-limit-invalid"]),
        ({"calls_per_day_max": -1, "calls_per_second_max": 0}, ["order-limit-invalid", "order-limit-invalid"]),
    ],
)
def test_an_order_asks_for_no_more_than_the_product_has(policy, expected):
    order = samples.order(policy=samples.policy(**policy))
    assert codes(rules.decide_order(order, samples.listing(), samples.standing())) == expected


def test_an_order_needs_a_listing_and_another_party():
    off = samples.listing(status=ListingStatus.DELISTED)
    own = samples.order(consumer=OPERATOR)
    assert codes(rules.decide_order(own, off, samples.standing())) == ["listing-off-market", "order-from-self"]


def test_a_contract_is_drawn_up_once_by_the_operator():
    contract, order = samples.contract(), samples.order()
    assert isinstance(rules.decide_draw_up(contract, order, samples.standing(), OPERATOR), Permitted)
    taken = replace(order, status=OrderStatus.CONTRACTED)
    assert codes(rules.decide_draw_up(contract, taken, samples.standing(), BANK)) == [
        "product-not-yours",
        "wrong-status",
    ]
    late = samples.standing(now=NOW + timedelta(days=31))
    assert codes(rules.decide_draw_up(contract, order, late, OPERATOR)) == ["contract-period-over"]


# ------------------------------------------------------------------------------------------------------ contracts

S = ContractStatus


@pytest.mark.parametrize(
    ("status", "party", "expected"),
    [
        (S.NEGOTIATING, OPERATOR, S.SIGNED_BY_OPERATOR),
        (S.NEGOTIATING, BANK, "contract-not-your-turn"),
        (S.SIGNED_BY_OPERATOR, BANK, S.PERFORMING),
        (S.SIGNED_BY_OPERATOR, OPERATOR, "wrong-status"),
        (S.PERFORMING, OPERATOR, "wrong-status"),
        (S.PERFORMING, BANK, "wrong-status"),
        (S.TERMINATED, OPERATOR, "wrong-status"),
        (S.TERMINATED, BANK, "wrong-status"),
    ],
)
def test_the_operator_signs_first_and_then_the_consumer(status, party, expected):
    decision = rules.decide_sign(samples.contract(status=status), samples.standing(), party, "p")
    if isinstance(expected, S):
        signed = decision.value_or_raise()
        assert signed.status is expected
        assert (signed.operator_signer if party == OPERATOR else signed.consumer_signer) == "p"
        assert (signed.performing_since is not None) == (expected is S.PERFORMING)
    else:
        assert codes(decision) == [expected]


def test_nobody_signs_what_nothing_stands_under_any_more():
    ended = samples.standing(
        product=samples.product(status=ProductStatus.STOPPED), faults=(ENDED,), now=NOW + timedelta(days=400)
    )
    assert codes(rules.decide_sign(samples.contract(), ended, OPERATOR, "p")) == [
        "product-stopped", "product-entitlement-ended", "product-grant-ended", "test-grant-ended",
        "contract-period-over",
    ]  # fmt: skip


@pytest.mark.parametrize("status", [S.NEGOTIATING, S.SIGNED_BY_OPERATOR, S.PERFORMING])
def test_a_contract_is_terminated_for_a_reason(status):
    contract = samples.contract(status=status)
    ended = rules.decide_terminate(contract, " 不再需要 ", NOW).value_or_raise()
    assert (ended.status, ended.end_reason, ended.ended_at) == (S.TERMINATED, "不再需要", NOW)
    assert codes(rules.decide_terminate(contract, " ", NOW)) == ["contract-reason-missing"]
    assert codes(rules.decide_terminate(ended, "x", NOW)) == ["wrong-status"]


@pytest.mark.parametrize("status", list(S))
def test_only_a_contract_in_performance_is_served(status):
    expected = [] if status is S.PERFORMING else ["contract-not-performing"]
    assert codes(rules.decide_serve(samples.contract(status=status), samples.standing())) == expected


def test_service_ends_with_the_period_and_with_the_grant():
    contract = samples.contract(status=S.PERFORMING)
    late = samples.standing(now=contract.terms.policy.period.end, faults=(ENDED,))
    assert codes(rules.decide_serve(contract, late)) == [
        "product-grant-ended", "test-grant-ended", "contract-period-over",
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- codes


@pytest.mark.parametrize(
    ("body", "check"),
    [
        ("491350000MA0000000F350100000001", "E"), ("591350000MA0000000F350112345678", "Q"),
        ("691350000MA0000000F35010000A1B2", "F"), ("791350000MA0000000F450000000007", "F"),
        ("291350000MA0000000F450000000001", "Q"), ("391350000MA0000000F006600000001", "M"),
        ("691350000MA0000000F350100000005", "*"), ("691350000MA0000000X35010000A1B2", "4"),
        ("591350000MA0000000X350112345678", "F"), ("C491350000MA0000000F35012026031009300000000001", "*"),
    ],
)  # fmt: skip
def test_check_characters_follow_mod_37_2(body, check):
    assert identifiers.mod_37_check_character(body) == check
    assert identifiers.passes_mod_37(body + check)


@pytest.mark.parametrize(
    "code",
    [
        "691350000MA0000000F350100001AB2F",
        "691350000MA0000000F36010000A1B2F",
        "",
        "1",
        "691350000ma0000000F35010000A1B2F",
    ],
)
def test_swapped_or_changed_characters_are_found(code):
    assert not identifiers.passes_mod_37(code)


def test_a_contract_code_has_47_characters_and_china_time():
    code = rules.contract_code(
        type_character="C", credit_code="91350000MA0000000F", region="350100",
        drawn_up_at=datetime(2026, 3, 10, 1, 30, tzinfo=UTC), serial="00000001",
    )  # fmt: skip
    assert code == "C491350000MA0000000F35012026031009300000000001*"
    assert len(code) == 47
