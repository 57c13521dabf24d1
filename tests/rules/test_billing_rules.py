"""What a month costs, and who the income goes to."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from gongshu.access.types import Role
from gongshu.base.digest import Ref
from gongshu.base.ids import PartyId, ProductId, StatementId
from gongshu.base.money import Tier
from gongshu.billing.rules import statements as rules
from gongshu.billing.types import Charge, Share, ShareKind, Statement
from gongshu.grants.types import PriceRule, ProductClass
from gongshu.metering.types import UsageCount
from gongshu.products.types import ContractStatus
from tests import samples
from tests.samples import BANK, NOW, OPERATOR, SUPPLIER

MARCH = (date(2026, 3, 1), date(2026, 4, 1))
OTHER = PartyId("supplier-2")
PERFORMED = samples.contract(status=ContractStatus.PERFORMING, performing_since=NOW)
TIERS = (Tier(10_000, "1.00"), Tier(100_000, "0.60"), Tier(None, "0.30"))


def priced(tiers):
    return replace(PERFORMED, terms=replace(PERFORMED.terms, tiers=tiers))


def count(segment: str, charged: int, **by_result: int) -> UsageCount:
    return UsageCount(PERFORMED.id, Ref("segment", segment, segment * 4), charged, by_result or {"match": charged})


def statement(**changes) -> Statement:
    charge = Charge(PERFORMED.ref, PERFORMED.id, ProductId("product-1"), (), 10, 8, (), 4_000)
    given = {
        "id": StatementId("statement-1"), "consumer": BANK, "operator": OPERATOR, "charge": charge,
        "charge_period_start": date(2026, 3, 1), "charge_period_end": date(2026, 4, 1),
        "shares": (Share(ShareKind.SUPPLIER, SUPPLIER, 1_200),), "currency": "CNY", "created_at": NOW,
    }  # fmt: skip
    return Statement(**(given | changes))


@pytest.mark.parametrize(
    ("day", "first", "end"),
    [
        (date(2026, 3, 31), date(2026, 3, 1), date(2026, 4, 1)), (date(2026, 12, 5), date(2026, 12, 1), date(2027, 1, 1)),
        (date(2026, 1, 1), date(2026, 1, 1), date(2026, 2, 1)),
    ],
)  # fmt: skip
def test_a_month_runs_from_its_first_day_to_that_of_the_next(day, first, end):
    assert rules.month_of(day) == (first, end)


def test_a_month_begins_at_midnight_in_china():
    period = rules.period_of((date(2026, 3, 1), date(2026, 4, 1)))
    assert period.start == datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert period.end == datetime(2026, 3, 31, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("charged", "fen"),
    [(0, 0), (10_000, 1_000_000), (10_001, 1_000_060), (60_000, 4_000_000), (100_000, 6_400_000), (150_000, 7_900_000)],
)
def test_units_are_charged_by_marginal_tiers(charged, fen):
    charge = rules.charge_of(
        priced(TIERS), samples.product(), MARCH, rules.usage_of([count("a", charged)] if charged else [])
    )
    assert charge.billed_cost_minor == fen
    assert sum(line.consumed_quantity for line in charge.lines) == charged


def test_a_charge_names_its_segments_in_order_and_counts_what_is_not_charged():
    charge = rules.charge_of(
        priced(TIERS),
        samples.product(),
        MARCH,
        rules.usage_of([count("b", 2, match=2, refused=5), count("a", 1, match=1, no_record=2)]),
    )
    assert [segment.id for segment in charge.segments] == ["a", "b"]
    assert (charge.calls, charge.charged_calls, charge.billed_cost_minor) == (10, 3, 300)
    assert [(line.consumed_quantity, line.list_unit_price) for line in charge.lines] == [(3, "1.00")]


def test_the_public_class_is_metered_and_free():
    free = samples.product(product_class=ProductClass.PUBLIC)
    charge = rules.charge_of(priced(TIERS), free, MARCH, rules.usage_of([count("a", 0, match=50)]))
    assert (charge.calls, charge.billed_cost_minor) == (50, 0)
    mistaken = rules.charge_of(priced(TIERS), free, MARCH, rules.usage_of([count("a", 50)]))
    assert mistaken.billed_cost_minor == 0


@pytest.mark.parametrize(
    ("yuan_fen", "public", "own"),
    [(12_000_000, 6_000_000, 6_000_000), (20_000_001, 10_000_001, 10_000_000), (35_000_000, 19_000_000, 16_000_000)],
)
def test_income_is_split_by_marginal_tiers(yuan_fen, public, own):
    shares = rules.shares_of(yuan_fen, replace(samples.PRICE, treasury_share="0"), (SUPPLIER,), OPERATOR)
    assert [share.amount_minor for share in shares] == [public, 0, own]


def test_the_public_side_is_divided_between_suppliers_and_treasury():
    price = PriceRule(600, (Tier(None, "0.5"),), "0.4")
    shares = rules.shares_of(1_001, price, (SUPPLIER, OTHER), OPERATOR)
    assert shares == (
        Share(ShareKind.SUPPLIER, SUPPLIER, 150), Share(ShareKind.SUPPLIER, OTHER, 150),
        Share(ShareKind.TREASURY, rules.TREASURY, 201), Share(ShareKind.OPERATOR, OPERATOR, 500),
    )  # fmt: skip


def test_without_suppliers_the_public_side_is_the_treasury():
    shares = rules.shares_of(1_000, PriceRule(600, (Tier(None, "0.5"),), "0"), (), OPERATOR)
    assert [(share.kind, share.amount_minor) for share in shares] == [
        (ShareKind.TREASURY, 500),
        (ShareKind.OPERATOR, 500),
    ]


def test_no_income_leaves_nothing_to_share():
    assert {share.amount_minor for share in rules.shares_of(0, samples.PRICE, (SUPPLIER,), OPERATOR)} == {0}


@pytest.mark.parametrize(
    ("contract", "party", "today", "expected"),
    [
        (PERFORMED, OPERATOR, date(2026, 3, 1), []),
        (PERFORMED, BANK, date(2026, 3, 1), ["statement-not-operator"]),
        (samples.contract(), OPERATOR, date(2026, 3, 1), ["statement-never-performed"]),
        (PERFORMED, OPERATOR, date(2026, 2, 28), ["statement-too-early"]),
    ],
)
def test_the_operator_bills_what_was_performed(contract, party, today, expected):
    decision = rules.decide_statement(statement(), contract, party, today)
    assert [reason.code for reason in decision.reasons] == expected


@pytest.mark.parametrize(
    ("party", "role", "expected"),
    [
        (BANK, Role.CONSUMER, True), (OPERATOR, Role.OPERATOR, True), (SUPPLIER, Role.SUPPLIER, True),
        (OTHER, Role.SUPPLIER, False), (PartyId("bank-2"), Role.CONSUMER, False), (PartyId("x"), Role.AUDITOR, True),
        (PartyId("x"), Role.IMPLEMENTING_AGENCY, True),
    ],
)  # fmt: skip
def test_a_statement_is_seen_by_those_it_is_about(party, role, expected):
    assert rules.sees(samples.actor(party, role), statement()) is expected


def test_a_corrected_statement_does_not_count():
    first, second = statement(), statement(id=StatementId("statement-2"), corrects=StatementId("statement-1"))
    assert rules.newest((first, second)) == (second,)


def test_totals_add_up_by_product_consumer_and_share():
    elsewhere = replace(statement().charge, product=ProductId("product-2"), billed_cost_minor=1)
    found = rules.totals_of([statement(), statement(), statement(charge=elsewhere, shares=())])
    assert (found.statements, found.calls, found.charged_calls, found.billed_cost_minor) == (3, 30, 24, 8_001)
    assert [(row.product, row.calls, row.billed_cost_minor) for row in found.income] == [
        ("product-1", 20, 8_000),
        ("product-2", 10, 1),
    ]
    assert found.shares == (Share(ShareKind.SUPPLIER, SUPPLIER, 2_400),)
    assert rules.totals_of([]).income == ()
