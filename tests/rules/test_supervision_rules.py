"""From entries of the log to a lifeline that can be read."""

from dataclasses import replace
from datetime import timedelta

from gongshu.audit.types import Entry, Outcome, Trace, TraceEdge, TraceStep
from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import ContractId, KeyId, ProductId
from gongshu.billing.types import Income
from gongshu.metering.types import ResultCode, UsageRecord
from gongshu.supervision import rules
from gongshu.supervision.types import Direction
from tests.samples import BANK, NOW

CONTRACT, PRODUCT = Ref("contract", "contract-1", "c" * 64), Ref("product", "product-1", "p" * 64)
SEGMENT = Ref("segment", "gw-2026-03-1", "s" * 64)
RECORD = UsageRecord(
    position="gw-2026-03-1:96", at=NOW, request_id="r", request_digest="q" * 64, contract=ContractId("contract-1"),
    contract_digest=CONTRACT.digest, product=ProductId("product-1"), key=KeyId("key-1"), snapshot=3,
    result=ResultCode.MATCH, refusal_code="", is_charged=True,
)  # fmt: skip


def step(ref: Ref, action: str, depth: int, minutes: int = 0, party: str = "operator") -> TraceStep:
    at = NOW + timedelta(minutes=minutes)
    return TraceStep(ref, Entry(f"e-{action}", at, "someone", party, action, ref, Outcome.PERMITTED), depth)


SIGNED = Trace(
    start=CONTRACT,
    steps=(
        step(CONTRACT, "contract.draw_up", 0), step(CONTRACT, "contract.sign", 0, 1), step(CONTRACT, "contract.stop", 0, 2),
        step(PRODUCT, "product.define", 1),
    ),
    edges=(TraceEdge(CONTRACT, PRODUCT),),
)  # fmt: skip
SEALED = Trace(SEGMENT, (step(SEGMENT, "segment.seal", 0), step(CONTRACT, "contract.draw_up", 1)), ())


def test_an_object_is_one_node_with_all_its_decisions():
    contract, product = rules.nodes_of(SIGNED, {"operator": "数据运营公司"})
    assert [made.action for made in contract.decisions] == ["contract.draw_up", "contract.sign", "contract.stop"]
    assert (contract.at, contract.article) == (NOW + timedelta(minutes=1), "TC609-6-2025-14 §7.3")
    assert contract.decisions[2].article == "27号 art.14; TC609-6-2025-14 §7.6"
    assert (product.depth, product.organisation, product.title.zh) == (1, "数据运营公司", "数据产品")
    assert product.ref == PRODUCT


def test_an_object_that_only_ended_shows_its_end():
    ended = Trace(CONTRACT, (step(CONTRACT, "contract.stop", 0),), ())
    (node,) = rules.nodes_of(ended, {})
    assert (node.at, node.organisation) == (NOW, "operator")


def test_the_platform_carries_out_what_a_person_decided():
    job = Ref("job", "job-1", "j" * 64)
    done = step(job, "job.succeed", 0, 5)
    carried_out = replace(done, entry=replace(done.entry, person="system", party="platform"))
    (node,) = rules.nodes_of(Trace(job, (step(job, "job.submit", 0), carried_out), ()), {})
    assert (node.who, node.at) == ("someone", NOW)
    (alone,) = rules.nodes_of(Trace(job, (carried_out,), ()), {})
    assert alone.who == "system"


def test_every_kind_of_object_has_a_title_and_an_article():
    assert {kind for kind in rules.TITLES if not rules.article_of(kind, "")} == set()
    assert rules.article_of("unheard", "unheard.of") == ""
    assert rules.title_of("unheard").en == "unheard"


def test_an_article_belongs_to_the_action_before_the_kind():
    assert rules.article_of("registration", "registration.accept") == "26号 art.10"
    assert rules.article_of("registration", "registration.anything") == "26号 art.9–14"


def test_a_call_stands_before_its_contract_and_in_its_sealed_segment():
    trace = rules.call_trace(RECORD, SIGNED, SEALED)
    assert trace.start == Ref("call", RECORD.position, digest_of(RECORD))
    assert {(edge.child.kind, edge.parent.kind) for edge in trace.edges} == {
        ("call", "segment"), ("call", "contract"), ("contract", "product"),
    }  # fmt: skip
    assert trace.gaps == ()
    assert [s.ref.kind for s in trace.steps].count("segment") == 1, "the segment's other contracts are not this call's"


def test_a_call_that_is_not_sealed_yet_shows_a_gap():
    assert rules.call_trace(RECORD, SIGNED, None).gaps == (Ref("segment", "gw-2026-03-1", ""),)


def test_a_call_under_other_terms_than_the_log_knows_shows_a_gap():
    changed = Trace(CONTRACT, (step(Ref("contract", "contract-1", "x" * 64), "contract.draw_up", 0),), ())
    assert rules.call_trace(RECORD, changed, SEALED).gaps == (CONTRACT,)


def test_the_node_of_a_call_tells_its_result_and_nothing_that_was_asked():
    node = rules.call_node(RECORD, "某银行")
    assert (node.kind, node.organisation, node.depth) == ("call", "某银行", 0)
    assert node.facts["result"] == "match"
    assert node.facts["is_charged"] == "true"
    assert "request_id" not in node.facts


def test_a_lifeline_sums_what_came_of_its_start():
    income = (Income(ProductId("product-1"), BANK, 10, 8, 4_000), Income(ProductId("product-2"), BANK, 5, 0, 0))
    found = rules.lifeline_of(SIGNED, Direction.FORWARD, {}, income)
    assert (found.calls, found.billed_cost_minor, found.start) == (15, 4_000, CONTRACT)
