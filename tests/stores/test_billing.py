"""Statements on both stores: from sealed segments, the same again, corrected by another."""

from datetime import date

import pytest

from gongshu.access.types import Role
from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.money import Tier
from gongshu.base.paging import PageRequest
from gongshu.billing import service as billing
from gongshu.metering.types import ResultCode
from tests import samples, world
from tests.world import AUDITOR, BANK, OPERATOR

MARCH = date(2026, 3, 15)
MATCH, MISMATCH, NO_RECORD, REFUSED = ResultCode.MATCH, ResultCode.MISMATCH, ResultCode.NO_RECORD, ResultCode.REFUSED
SUPPLIER = samples.actor(samples.SUPPLIER, Role.SUPPLIER)
STRANGER = samples.actor("bank-2", Role.CONSUMER)


@pytest.fixture
def contract(site):
    """Give a contract in performance at 5.00 yuan for 10 calls and 4.00 yuan above."""
    world.settle(site)
    return world.contracted(site, world.listed(site, tiers=(Tier(10, "5.00"), Tier(None, "4.00"))))


def refusal(call):
    with pytest.raises(Refused) as caught:
        call()
    return [reason.code for reason in caught.value.reasons]


def test_a_statement_bills_sealed_calls_and_splits_them_to_the_fen(site, contract):
    world.call(site, contract, {MATCH: 9, MISMATCH: 4, NO_RECORD: 3, REFUSED: 2})
    statement = billing.create_statement(site, OPERATOR, contract.id, MARCH)
    charge = statement.charge
    assert (charge.calls, charge.charged_calls, charge.billed_cost_minor) == (18, 13, 6_200)
    assert [(line.consumed_quantity, line.list_unit_price) for line in charge.lines] == [(10, "5.00"), (3, "4.00")]
    assert (statement.charge_period_start, statement.charge_period_end) == (date(2026, 3, 1), date(2026, 4, 1))
    shares = {share.kind.value: share.amount_minor for share in statement.shares}
    assert shares == {"supplier": 1_860, "treasury": 1_240, "operator": 3_100}
    parents = {edge.parent.kind for edge in audit.trace_back(site, "statement", statement.id).edges}
    assert {"contract", "segment"} <= parents


def test_the_same_usage_gives_the_same_statement(site, contract):
    world.call(site, contract, {MATCH: 3})
    first = billing.create_statement(site, OPERATOR, contract.id, MARCH)
    assert billing.create_statement(site, OPERATOR, contract.id, date(2026, 3, 1)) == first
    assert billing.list_statements(site, BANK).rows == (first,)
    log = audit.list_entries(site, AUDITOR, PageRequest(200), action="statement.create").rows
    assert [entry.facts["is_unchanged"] for entry in log] == ["true", "false"]


def test_later_usage_of_the_month_is_a_correction_and_counts_once(site, contract):
    world.call(site, contract, {MATCH: 3})
    first = billing.create_statement(site, OPERATOR, contract.id, MARCH)
    world.call(site, contract, {MATCH: 9}, gateway="gw2")
    second = billing.create_statement(site, OPERATOR, contract.id, MARCH)
    assert (second.corrects, second.difference_minor) == (first.id, 5_800 - 1_500)
    assert second.charge.billed_cost_minor == 5_800, "the tiers run over the whole month"
    assert billing.get_statement(site, OPERATOR, first.id) == first
    found = billing.totals(site, OPERATOR)
    assert (found.statements, found.calls, found.billed_cost_minor) == (1, 12, 5_800)
    assert sum(share.amount_minor for share in found.shares) == 5_800


def test_a_month_without_calls_costs_nothing(site, contract, clock):
    world.call(site, contract, {MATCH: 3})
    clock.move(days=31)
    april = billing.create_statement(site, OPERATOR, contract.id, date(2026, 4, 1))
    assert (april.charge.calls, april.charge.billed_cost_minor, april.charge.segments) == (0, 0, ())


def test_only_the_operator_bills_and_not_the_future(site, contract):
    assert refusal(lambda: billing.create_statement(site, BANK, contract.id, MARCH)) == ["permission-missing"]
    other = samples.actor("operator-2", Role.OPERATOR)
    assert refusal(lambda: billing.create_statement(site, other, contract.id, MARCH)) == ["statement-not-operator"]
    april = refusal(lambda: billing.create_statement(site, OPERATOR, contract.id, date(2026, 4, 1)))
    assert april == ["statement-too-early"]
    assert billing.list_statements(site, AUDITOR).rows == ()


def test_each_side_and_each_sharer_sees_the_statement_and_nobody_else(site, contract):
    world.call(site, contract, {MATCH: 3})
    statement = billing.create_statement(site, OPERATOR, contract.id, MARCH)
    for reader in (BANK, OPERATOR, SUPPLIER, AUDITOR):
        assert billing.get_statement(site, reader, statement.id) == statement
        assert billing.list_statements(site, reader).rows == (statement,)
        assert billing.list_statements(site, reader, contract_id=contract.id).rows == (statement,)
        assert billing.totals(site, reader).billed_cost_minor == 1_500
    assert billing.list_statements(site, AUDITOR, contract_id="contract-0").rows == ()
    assert refusal(lambda: billing.get_statement(site, STRANGER, statement.id)) == ["not-found"]
    assert refusal(lambda: billing.get_statement(site, BANK, "statement-0")) == ["not-found"]
    assert billing.list_statements(site, STRANGER).rows == ()
    assert billing.totals(site, STRANGER).statements == 0


def test_a_changed_segment_is_not_billed(site, contract):
    world.call(site, contract, {MATCH: 3})
    (segment,) = (site.home / "usage" / "gw1").glob("*.segment")
    world.flip_a_byte(segment)
    assert refusal(lambda: billing.create_statement(site, OPERATOR, contract.id, MARCH)) == ["segment-changed"]


def test_income_is_summed_by_product_and_consumer(site, contract):
    world.call(site, contract, {MATCH: 3})
    billing.create_statement(site, OPERATOR, contract.id, MARCH)
    with site.db.reading() as tx:
        (row,) = billing.income_in(tx, [contract.terms.product_id])
        assert billing.income_in(tx, []) == ()
        assert billing.income_in(tx, ["product-0"]) == ()
    assert (row.consumer, row.calls, row.billed_cost_minor) == (samples.BANK, 3, 1_500)
