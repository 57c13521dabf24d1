"""Packs, month runs, disputes and adjusting entries on both stores; nothing is ever edited."""

from datetime import date, timedelta

import pytest

from gongshu.access.types import Role
from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.money import Tier
from gongshu.base.paging import PageRequest
from gongshu.billing import service as billing
from gongshu.billing.types import DisputeStatus, LineKind
from gongshu.metering.adapters.segments import sha256_of_file
from gongshu.metering.types import ResultCode
from gongshu.products.types import Pack, PriceStage, Pricing, TierMethod
from tests import samples, world
from tests.world import AUDITOR, BANK, OPERATOR

MARCH, APRIL = date(2026, 3, 15), date(2026, 4, 15)
MATCH, NO_RECORD = ResultCode.MATCH, ResultCode.NO_RECORD
TIERS = (Tier(10, "5.00"), Tier(None, "4.00"))
STRANGER = samples.actor("bank-2", Role.CONSUMER)


def refusal(call):
    with pytest.raises(Refused) as caught:
        call()
    return [reason.code for reason in caught.value.reasons]


@pytest.fixture
def sold(site):
    """Give a function that lists a product at a price and returns a contract in performance."""
    world.settle(site)
    return lambda pricing=None, number=1: world.contracted(
        site, world.listed(site, number=number, tiers=TIERS, pricing=pricing or Pricing())
    )


def lines(statement):
    return [(line.kind, line.consumed_quantity) for line in statement.charge.lines]


# ----------------------------------------------------------------------------------------------------------- prices


def test_a_pack_is_billed_when_bought_and_its_calls_are_free_until_it_is_empty(site, sold, clock):
    contract = sold(Pricing(packs=(Pack(20, 9_000, 2), Pack(5, 2_500, 1))))
    bought = billing.buy_pack(site, BANK, contract.id, 1)
    world.call(site, contract, {MATCH: 12, NO_RECORD: 2})
    march = billing.create_statement(site, OPERATOR, contract.id, MARCH)
    assert lines(march) == [(LineKind.PREPAID, 12), (LineKind.PACK, 1)]
    assert march.charge.billed_cost_minor == 9_000
    clock.move(days=31)
    world.call(site, contract, {MATCH: 10}, gateway="gw2")
    april = billing.create_statement(site, OPERATOR, contract.id, APRIL)
    assert lines(april) == [(LineKind.PREPAID, 8), (LineKind.USAGE, 2)]
    assert april.charge.billed_cost_minor == 1_000
    assert billing.create_statement(site, OPERATOR, contract.id, APRIL) == april
    assert billing.list_packs(site, BANK, contract.id).rows == (bought,)


def test_only_the_consumer_buys_a_pack_that_the_price_has(site, sold):
    contract = sold(Pricing(packs=(Pack(20, 9_000, 2),)))
    assert refusal(lambda: billing.buy_pack(site, BANK, contract.id, 2)) == ["pack-unknown"]
    assert refusal(lambda: billing.buy_pack(site, STRANGER, contract.id, 1)) == ["not-found"]
    assert refusal(lambda: billing.buy_pack(site, OPERATOR, contract.id, 1)) == ["permission-missing"]
    assert billing.list_packs(site, BANK, contract.id).rows == ()


def test_fee_included_calls_volume_tiers_and_cap_meet_in_one_month(site, sold):
    pricing = Pricing(method=TierMethod.VOLUME, period_fee_minor=5_000, period_units=10, cap_minor=12_000)
    contract = sold(pricing)
    world.call(site, contract, {MATCH: 35})
    statement = billing.create_statement(site, OPERATOR, contract.id, MARCH)
    assert lines(statement) == [
        (LineKind.PERIOD_FEE, 1), (LineKind.INCLUDED, 10), (LineKind.USAGE, 25), (LineKind.CAP, 1),
    ]  # fmt: skip
    assert statement.charge.lines[2].list_unit_price == "4.00"
    assert statement.charge.billed_cost_minor == 12_000
    assert sum(share.amount_minor for share in statement.shares) == 12_000


def test_a_stage_that_begins_within_the_month_changes_the_rate_from_its_day(site, sold, clock):
    start = site.today() + timedelta(days=1)
    contract = sold(Pricing(stages=(PriceStage("初创期", site.today(), 0), PriceStage("成熟期", start, 100))))
    world.call(site, contract, {MATCH: 4})
    clock.move(days=1)
    world.call(site, contract, {MATCH: 3}, gateway="gw2")
    statement = billing.create_statement(site, OPERATOR, contract.id, MARCH)
    assert [(line.consumed_quantity, line.percent) for line in statement.charge.lines] == [(4, 0), (3, 100)]
    assert statement.charge.billed_cost_minor == 1_500


@pytest.mark.parametrize(
    ("pricing", "expected"),
    [
        (Pricing(packs=(Pack(10, 1_000_000, 1),)), ["listing-unit-above-ceiling"]),
        (Pricing(period_fee_minor=100), ["listing-pricing-invalid"]),
        (Pricing(period_fee_minor=1_000_000, period_units=1), ["listing-unit-above-ceiling"]),
        (Pricing(cap_minor=0), ["listing-pricing-invalid"]),
        (Pricing(packs=(Pack(0, 100, 1),)), ["listing-pricing-invalid"]),
        (Pricing(stages=(PriceStage("", date(2026, 1, 1), 50),)), ["listing-pricing-invalid"]),
    ],
)
def test_a_price_above_the_ceiling_or_without_sense_is_not_listed(site, pricing, expected):
    world.settle(site)
    assert refusal(lambda: world.listed(site, tiers=TIERS, pricing=pricing)) == expected


# -------------------------------------------------------------------------------------------------------- month runs


def test_a_run_over_all_contracts_gives_what_each_alone_gives(site, sold):
    first = sold(Pricing(period_fee_minor=1_500, period_units=3))
    second = sold(Pricing(stages=(PriceStage("成熟期", site.today() + timedelta(days=1), 50),)), number=2)
    idle = sold(number=3)
    world.call(site, first, {MATCH: 7, NO_RECORD: 3})
    world.call(site, second, {MATCH: 5}, gateway="gw2")
    made = billing.create_statements(site, OPERATOR, MARCH)
    assert {statement.charge.contract_id for statement in made} == {first.id, second.id}
    for statement in made:
        assert billing.create_statement(site, OPERATOR, statement.charge.contract_id, MARCH) == statement
    assert billing.create_statements(site, OPERATOR, MARCH) == made
    assert billing.list_statements(site, OPERATOR, contract_id=idle.id).rows == ()
    assert refusal(lambda: billing.create_statements(site, BANK, MARCH)) == ["permission-missing"]


def test_a_month_run_refuses_a_table_that_was_changed(site, sold):
    world.call(site, sold(), {MATCH: 3})
    (table,) = (site.home / "usage" / "gw1").glob("*.parquet")
    world.flip_a_byte(table)
    assert refusal(lambda: billing.create_statements(site, OPERATOR, MARCH)) == ["segment-changed"]


def test_the_table_of_a_segment_stands_in_the_log_by_its_digest(site, sold):
    world.call(site, sold(), {MATCH: 3})
    (entry,) = audit.list_entries(site, AUDITOR, PageRequest(10), action="segment.seal").rows
    (table,) = (site.home / "usage" / "gw1").glob("*.parquet")
    assert entry.facts["table_sha256"] == sha256_of_file(table)


# ---------------------------------------------------------------------------------------------------------- disputes


@pytest.fixture
def billed(site, sold):
    """Give a contract, its statement over 65.00 yuan, and the positions of its calls."""
    contract = sold()
    positions = world.call(site, contract, {MATCH: 13, NO_RECORD: 1})
    statement = billing.create_statement(site, OPERATOR, contract.id, MARCH)
    return statement, positions


def test_an_accepted_dispute_becomes_an_entry_beside_the_statement(site, billed):
    statement, positions = billed
    dispute = billing.raise_dispute(site, BANK, statement.id, "三次调用超时", tuple(positions[:3]))
    decided, entry = billing.decide_dispute(
        site, OPERATOR, dispute.id, DisputeStatus.ACCEPTED, "核减三次", amount_minor=-1_500
    )
    assert (decided.status, entry.amount_minor) == (DisputeStatus.ACCEPTED, -1_500)
    assert sum(share.amount_minor for share in entry.shares) == -1_500
    assert billing.get_statement(site, BANK, statement.id) == statement
    assert billing.list_adjustments(site, BANK, statement.id).rows == (entry,)
    totals = billing.totals(site, OPERATOR)
    assert totals.billed_cost_minor == statement.charge.billed_cost_minor - 1_500
    assert sum(share.amount_minor for share in totals.shares) == totals.billed_cost_minor
    log = [e.action for e in audit.list_entries(site, AUDITOR, PageRequest(50)).rows]
    assert {"dispute.raise", "dispute.decide", "statement.adjust"} <= set(log)


def test_a_rejected_dispute_changes_nothing_and_is_over(site, billed):
    statement, _ = billed
    dispute = billing.raise_dispute(site, BANK, statement.id, "太贵")
    decided, entry = billing.decide_dispute(site, OPERATOR, dispute.id, DisputeStatus.REJECTED, "按约定价格")
    assert (decided.status, entry) == (DisputeStatus.REJECTED, None)
    assert refusal(lambda: billing.withdraw_dispute(site, BANK, dispute.id)) == ["wrong-status"]


def test_a_confirmed_statement_is_final(site, billed):
    statement, _ = billed
    open_one = billing.raise_dispute(site, BANK, statement.id, "请核对")
    assert refusal(lambda: billing.confirm_statement(site, BANK, statement.id)) == ["statement-disputed"]
    billing.withdraw_dispute(site, BANK, open_one.id)
    billing.confirm_statement(site, BANK, statement.id)
    assert refusal(lambda: billing.confirm_statement(site, BANK, statement.id)) == ["statement-confirmed"]
    assert refusal(lambda: billing.raise_dispute(site, BANK, statement.id, "还是不对")) == ["statement-confirmed"]
    assert billing.confirmation_of(site, OPERATOR, statement.id).statement == statement.ref
    with site.db.reading() as tx:
        from gongshu.products import service as products

        contract = products.contract_in(tx, statement.charge.contract_id)
    world.call(site, contract, {MATCH: 2}, gateway="gw2")
    assert refusal(lambda: billing.create_statement(site, OPERATOR, contract.id, MARCH)) == ["statement-final"]
    entry = billing.adjust(site, OPERATOR, statement.id, 800, "迟到的两次调用")
    assert entry.dispute is None


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda s, p: ("raise", BANK, "", ()), ["dispute-text-missing"]),
        (lambda s, p: ("raise", BANK, "x", ("gw1-202603-00000001:999999",)), ["dispute-position-unknown"]),
        (lambda s, p: ("raise", STRANGER, "x", ()), ["not-found"]),
        (lambda s, p: ("adjust", OPERATOR, 0, "x"), ["adjustment-amount-invalid"]),
        (lambda s, p: ("adjust", OPERATOR, -(10**9), "x"), ["adjustment-amount-invalid"]),
        (lambda s, p: ("adjust", OPERATOR, 5, ""), ["dispute-text-missing"]),
        (lambda s, p: ("adjust", BANK, 5, "x"), ["permission-missing"]),
    ],
)
def test_what_makes_no_sense_is_refused_and_audited(site, billed, call, expected):
    statement, positions = billed
    what, actor, *rest = call(statement, positions)
    act = billing.raise_dispute if what == "raise" else billing.adjust
    assert refusal(lambda: act(site, actor, statement.id, *rest)) == expected
    newest = audit.list_entries(site, AUDITOR, PageRequest(1)).rows[0]
    assert newest.outcome == "denied"


def test_a_statement_that_was_corrected_takes_no_more_entries(site, billed):
    statement, _ = billed
    with site.db.reading() as tx:
        from gongshu.products import service as products

        contract = products.contract_in(tx, statement.charge.contract_id)
    world.call(site, contract, {MATCH: 1}, gateway="gw2")
    newer = billing.create_statement(site, OPERATOR, contract.id, MARCH)
    assert newer.corrects == statement.id
    assert refusal(lambda: billing.adjust(site, OPERATOR, statement.id, 5, "x")) == ["statement-superseded"]
    assert refusal(lambda: billing.confirm_statement(site, BANK, statement.id)) == ["statement-superseded"]
