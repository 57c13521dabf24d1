"""From entries of the log to a lifeline that can be read: titles, articles, one node per object. Pure."""

from collections.abc import Mapping

from gongshu.access.types import SYSTEM
from gongshu.audit.types import Entry, Trace, TraceEdge
from gongshu.base.decisions import Kind, Text, rule
from gongshu.base.digest import Ref, digest_of
from gongshu.billing.types import Income
from gongshu.metering.types import UsageRecord
from gongshu.supervision.types import Direction, Lifeline, LifelineDecision, LifelineEdge, LifelineNode

CALL_UNKNOWN = rule(
    "call-unknown", Kind.NOT_FOUND, zh="没有找到回执位置 {position} 的调用记录。",
    en="There is no record of a call at {position}.",
    fix_zh="请核对回执中的 call 字段。", fix_en="Check the field call of the receipt.", law="TC609-6-2025-16 §6.7 c)",
)  # fmt: skip


def is_unusual(answered: int, no_record: int, *, calls_min: int, percent_min: int) -> bool:
    """Whether so many of a contract's answered calls found nobody that ids may be tried one after the other.

    Who verifies people or enterprises that it deals with knows whom it asks about; who tries ids mostly meets nobody. Of few
    calls nothing can be said.
    """
    return answered >= calls_min and 100 * no_record >= percent_min * answered


TITLES: dict[str, Text] = {
    "resource": Text("数据资源", "Resource"),
    "resource_version": Text("数据资源版本", "Resource version"),
    "registration": Text("公共数据资源登记", "Registration"),
    "plan": Text("实施方案", "Implementation plan"),
    "agreement": Text("授权运营协议", "Agreement"),
    "grant": Text("授权", "Grant"),
    "exit_record": Text("退出记录", "Exit record"),
    "scenario": Text("应用场景", "Scenario"),
    "entitlement": Text("使用资格", "Entitlement"),
    "sql": Text("合成数据试运行", "Trial on synthetic rows"),
    "job": Text("加工作业", "Job"),
    "output": Text("待出域结果", "Output"),
    "review": Text("出域审核", "Review"),
    "release": Text("出域放行", "Release"),
    "product": Text("数据产品", "Product"),
    "listing": Text("上架", "Listing"),
    "order": Text("订单", "Order"),
    "contract": Text("数字合约", "Contract"),
    "key": Text("访问密钥", "Key"),
    "call": Text("产品调用", "Call"),
    "segment": Text("调用日志段", "Usage segment"),
    "statement": Text("账单", "Statement"),
}

ARTICLES: dict[str, str] = {
    "resource": "27号 art.5",
    "resource_version": "26号 art.7; GB/T 36344-2018",
    "registration": "26号 art.9–14",
    "registration.submit": "26号 art.9(一)",
    "registration.resubmit": "26号 art.10",
    "registration.return": "26号 art.10",
    "registration.accept": "26号 art.10",
    "registration.pass_review": "26号 art.11",
    "registration.object": "26号 art.12",
    "registration.dismiss_objection": "26号 art.12",
    "registration.uphold_objection": "26号 art.12",
    "registration.assign_code": "26号 art.13",
    "registration.lapse": "26号 art.15",
    "plan": "27号 art.9–11",
    "plan.write": "27号 art.9",
    "plan.rewrite": "27号 art.9",
    "plan.submit": "27号 art.10",
    "plan.approve": "27号 art.11",
    "agreement": "27号 art.13, 14",
    "agreement.propose": "27号 art.12, 14",
    "agreement.sign": "27号 art.13",
    "grant": "27号 art.14",
    "grant.issue": "27号 art.14(一)(二)",
    "grant.end": "27号 art.14(九)(十二)",
    "exit_record": "27号 art.9(六), 14(五)",
    "scenario": "27号 art.14(三)",
    "entitlement": "27号 art.14(一), 21",
    "sql": "27号 art.15",
    "job": "27号 art.15, 21",
    "output": "27号 art.14(三), 21",
    "review": "27号 art.14(三)",
    "release": "27号 art.14(三), 21",
    "product": "27号 art.14(三), 16",
    "listing": "65号 §一, §二",
    "order": "27号 art.3, 6",
    "contract": "TC609-6-2025-14 §7.3",
    "contract.terminate": "TC609-6-2025-14 §7.6",
    "contract.stop": "27号 art.14; TC609-6-2025-14 §7.6",
    "key": "NDI-TR-2025-05 annex B",
    "call": "NDI-TR-2025-05 annex B; 65号 §三(二)",
    "segment": "65号 §三(二); TC609-6-2025-16 §6.7 c)",
    "statement": "65号 §三(二), §五; 27号 art.14(七)",
}
"""The article that a step follows: of the action where it has one of its own, else of the kind of object."""

ENDINGS = frozenset({"end", "stop", "terminate", "delist", "lapse", "void", "revoke", "preview", "withdraw"})
"""Actions that end an object or only look at it; they are not what brought it into force."""


def title_of(kind: str) -> Text:
    """Return what a kind of object is called."""
    return TITLES.get(kind, Text(kind, kind))


def article_of(kind: str, action: str) -> str:
    """Return the article that an action on a kind of object follows, or an empty string where none is known."""
    return ARTICLES.get(action, ARTICLES.get(kind, ""))


def _decision(entry: Entry, names: Mapping[str, str]) -> LifelineDecision:
    kind = entry.subject.kind
    return LifelineDecision(
        action=entry.action, title=title_of(kind), at=entry.at, person=entry.person,
        party=names.get(entry.party, entry.party), article=article_of(kind, entry.action), entry=entry.id,
        facts=entry.facts,
    )  # fmt: skip


def _decisive(decisions: tuple[LifelineDecision, ...]) -> LifelineDecision:
    """Return the last decision that was not an end, by a person if there is one: the platform only carries out."""
    inward = [made for made in decisions if made.action.rpartition(".")[2] not in ENDINGS] or list(decisions)
    by_people = [made for made in inward if made.person != SYSTEM.person]
    return (by_people or inward)[-1]


def nodes_of(trace: Trace, names: Mapping[str, str]) -> tuple[LifelineNode, ...]:
    """Return one node per object of a trace, in the order of the walk. ``names``: parties by id."""
    refs: dict[tuple[str, str], tuple[Ref, int]] = {}
    decided: dict[tuple[str, str], list[LifelineDecision]] = {}
    for step in trace.steps:
        key = (step.ref.kind, step.ref.id)
        refs[key] = (step.ref, refs[key][1] if key in refs else step.depth)
        decided.setdefault(key, []).append(_decision(step.entry, names))
    nodes = []
    for key, (ref, depth) in refs.items():
        decisions = tuple(decided[key])
        last = _decisive(decisions)
        nodes.append(
            LifelineNode(
                kind=ref.kind,
                id=ref.id,
                digest=ref.digest,
                title=title_of(ref.kind),
                at=last.at,
                who=last.person,
                organisation=last.party,
                article=last.article,
                depth=depth,
                facts=last.facts,
                decisions=decisions,
            )
        )
    return tuple(nodes)


def lifeline_of(
    trace: Trace, direction: Direction, names: Mapping[str, str], income: tuple[Income, ...] = ()
) -> Lifeline:
    """Return a trace as a lifeline."""
    return Lifeline(
        start=trace.start, direction=direction, nodes=nodes_of(trace, names),
        edges=tuple(LifelineEdge(edge.child, edge.parent) for edge in trace.edges), trace=trace, gaps=trace.gaps,
        is_cut=trace.is_cut, income=income,
    )  # fmt: skip


def call_ref(record: UsageRecord) -> Ref:
    """Name a call by the position and the digest of its usage record."""
    return Ref("call", record.position, digest_of(record))


def call_trace(record: UsageRecord, contract: Trace, segment: Trace | None) -> Trace:
    """Put a call in front of its contract's trace, with the sealed segment that holds it.

    A call whose contract had another digest than the log knows, or whose segment is not sealed yet, shows a gap.
    """
    call = call_ref(record)
    named = Ref("contract", record.contract, record.contract_digest)
    segment_id = record.position.partition(":")[0]
    sealed = tuple(
        step for step in (segment.steps if segment else ()) if (step.ref.kind, step.ref.id) == ("segment", segment_id)
    )
    holder = sealed[-1].ref if sealed else Ref("segment", segment_id, "")
    is_known = any(step.ref == named for step in contract.steps)
    return Trace(
        start=call,
        steps=(*sealed, *contract.steps),
        edges=(TraceEdge(call, holder), TraceEdge(call, named), *contract.edges),
        gaps=(*(() if sealed else (holder,)), *(() if is_known else (named,)), *contract.gaps),
        is_cut=contract.is_cut,
    )


def call_node(record: UsageRecord, party: str) -> LifelineNode:
    """Return the node of a call: its result and whether it was charged; nothing of what was asked."""
    call = call_ref(record)
    facts = {
        "result": record.result.value, "is_charged": str(record.is_charged).lower(), "key": record.key,
        "request_digest": record.request_digest, "product": record.product, "snapshot": str(record.snapshot),
        "refusal_code": record.refusal_code,
    }  # fmt: skip
    return LifelineNode(
        kind=call.kind, id=call.id, digest=call.digest, title=title_of("call"), at=record.at, who=record.key,
        organisation=party, article=article_of("call", ""), depth=0, facts=facts,
    )  # fmt: skip
