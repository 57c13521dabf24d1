"""The end of a grant and the lifelines, on both stores."""

from dataclasses import replace
from datetime import date

import pytest

from gongshu.access.types import Role
from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.paging import PageRequest
from gongshu.billing import service as billing
from gongshu.delivery import adapters
from gongshu.delivery import service as delivery
from gongshu.egress import service as egress
from gongshu.egress.types import OutputStatus
from gongshu.grants import service as grants
from gongshu.metering.types import ResultCode
from gongshu.products import service as products
from gongshu.products.types import ContractStatus
from gongshu.supervision import service as supervision
from gongshu.supervision.types import Direction
from tests import samples, world
from tests.world import AGENCY, AUDITOR, BANK, OPERATOR


@pytest.fixture
def contract(site):
    world.settle(site)
    return world.contracted(site, world.listed(site))


def refusal(call):
    with pytest.raises(Refused) as caught:
        call()
    return [reason.code for reason in caught.value.reasons]


def test_a_call_is_walked_back_to_the_job_with_names_and_articles(site, contract):
    position = world.call(site, contract, {ResultCode.MATCH: 3})[1]
    found = supervision.lifeline_of_call(site, AUDITOR, position)
    by_kind = {node.kind: node for node in found.nodes}
    assert {"call", "segment", "contract", "order", "listing", "product", "release", "review", "output"} <= set(by_kind)
    assert by_kind["call"].facts["result"] == "match"
    assert by_kind["call"].organisation == "单位 bank"
    assert by_kind["contract"].digest == contract.digest
    assert by_kind["contract"].decisions[-1].action == "contract.sign"
    assert by_kind["release"].article == "27号 art.14(三), 21"
    assert by_kind["release"].organisation == "单位 operator"
    assert [node.kind for node in found.nodes].count("review") == 2
    assert by_kind["contract"].depth == 1
    assert found.trace.start.id == position
    assert {gap.kind for gap in found.gaps} == {"job", "entitlement"}, "made without their own rooms in this test"
    known = {(node.kind, node.id) for node in found.nodes} | {(gap.kind, gap.id) for gap in found.gaps}
    assert all((ref.kind, ref.id) in known for edge in found.edges for ref in (edge.child, edge.parent))


def test_a_call_that_nobody_made_is_not_found(site, contract):
    for position in ("nowhere:1", "x", "gw1-2026-03-00000001:999999"):
        assert refusal(lambda p=position: supervision.lifeline_of_call(site, AUDITOR, p)) == ["call-unknown"]
    assert refusal(lambda: supervision.lifeline_of_call(site, BANK, "x")) == ["permission-missing"]


def test_an_output_is_followed_forward_to_every_yuan(site, contract):
    world.call(site, contract, {ResultCode.MATCH: 3})
    billing.create_statement(site, OPERATOR, contract.id, date(2026, 3, 1))
    output = egress.list_outputs(site, AUDITOR, PageRequest()).rows[0]
    found = supervision.lifeline_forward(site, AUDITOR, "output", output.id)
    kinds = {node.kind for node in found.nodes}
    assert {"review", "release", "product", "listing", "order", "contract", "segment", "statement"} <= kinds
    assert (found.direction, found.calls, found.billed_cost_minor) == (Direction.FORWARD, 3, 1_500)
    assert [(row.consumer, row.calls) for row in found.income] == [(samples.BANK, 3)]


def test_an_object_is_followed_back(site, contract):
    found = supervision.lifeline_back(site, AGENCY, "contract", contract.id)
    assert (found.direction, found.income, found.start.id) == (Direction.BACK, (), contract.id)
    assert refusal(lambda: supervision.lifeline_back(site, AGENCY, "contract", "x")) == ["audit-trace-not-found"]
    assert refusal(lambda: supervision.lifeline_forward(site, BANK, "contract", contract.id)) == ["permission-missing"]


def test_the_end_of_a_grant_stops_everything_under_it_at_once(site, contract):
    delivery.create_key(site, BANK, contract.id)
    waiting = world.submitted(site, number=2)
    record = supervision.end_grant(site, AGENCY, "grant-1", "试点期满")
    kinds = {disposal.kind.value for disposal in record.disposals}
    assert {"artifact", "contract", "output", "key", "entitlement"} <= kinds
    assert record == grants.exit_record(site, AGENCY, "grant-1")
    assert products.get_contract(site, BANK, contract.id).status is ContractStatus.TERMINATED
    assert products.get_contract(site, BANK, contract.id).end_reason == "试点期满"
    assert egress.get_output(site, AUDITOR, waiting.id).status is OutputStatus.STOPPED
    delivery.publish_snapshot(site)
    (served,) = adapters.read_snapshot(site.home).contracts
    assert served.stop_code == "grant-ended"
    assert "grant-not-in-force" in refusal(lambda: egress.release(site, OPERATOR, waiting.id))
    assert refusal(lambda: supervision.end_grant(site, AGENCY, "grant-1", "再次")) == ["wrong-status"]


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        ((AGENCY, "grant-1", " "), "reason"), ((AGENCY, "grant-0", "x"), "not-found"),
        ((samples.actor("agency-2", Role.IMPLEMENTING_AGENCY), "grant-1", "x"), "not-found"),
        ((OPERATOR, "grant-1", "x"), "permission-missing"),
    ],
)  # fmt: skip
def test_a_refused_end_is_logged_and_stops_nothing(site, contract, attempt, expected):
    (code,) = refusal(lambda: supervision.end_grant(site, *attempt))
    assert expected in code
    assert products.get_contract(site, BANK, contract.id).status is ContractStatus.PERFORMING
    entry = audit.list_entries(site, AUDITOR, PageRequest(1)).rows[0]
    assert (entry.action, entry.outcome, entry.reasons[0].code) == ("grant.end", "denied", code)


def test_an_end_that_fails_half_way_changes_nothing(site, contract, monkeypatch):
    def fail(*_args, **_named):
        raise OSError("no more")

    with monkeypatch.context() as broken:
        broken.setattr(grants, "end_in", fail)
        with pytest.raises(OSError, match="no more"):
            supervision.end_grant(site, AGENCY, "grant-1", "期满")
    assert products.get_contract(site, BANK, contract.id).status is ContractStatus.PERFORMING
    assert grants.get_grant(site, AGENCY, "grant-1").ended_at is None


def test_a_contract_under_which_many_ids_are_tried_is_shown_to_its_operator_and_to_supervision(site, contract):
    month, page = site.today(), PageRequest()
    world.call(site, contract, {ResultCode.MATCH: 99, ResultCode.NO_RECORD: 100})
    assert supervision.list_unusual(site, AUDITOR, month, page).rows == (), "of few calls nothing can be said"
    world.call(site, contract, {ResultCode.NO_RECORD: 1, ResultCode.REFUSED: 500})
    for actor in (AUDITOR, AGENCY, OPERATOR):
        (found,) = supervision.list_unusual(site, actor, month, page).rows
        assert (found.contract, found.consumer) == (contract.id, contract.terms.consumer)
        assert (found.answered, found.no_record, found.share_percent) == (200, 101, 50)
    other = replace(OPERATOR, party=BANK.party)
    assert supervision.list_unusual(site, other, month, page).rows == ()
    assert refusal(lambda: supervision.list_unusual(site, BANK, month, page)) == ["permission-missing"]
    world.call(site, contract, {ResultCode.MATCH: 10})
    assert supervision.list_unusual(site, AUDITOR, month, page).rows == ()
