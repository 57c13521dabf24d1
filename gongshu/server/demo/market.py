"""Steps 7 to 11 of the story: listed, ordered, called, billed, traced back, and ended."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from gongshu.base.days import Period
from gongshu.base.ids import ListingId
from gongshu.base.money import Tier
from gongshu.billing import service as billing
from gongshu.billing.types import Statement
from gongshu.compute import service as compute
from gongshu.delivery import service as delivery
from gongshu.metering import service as metering
from gongshu.policies.types import UsagePolicy
from gongshu.products import service as products
from gongshu.products.types import Contract, ProductVersion
from gongshu.server.demo.callers import Answer, Call, Caller, running_gateway
from gongshu.server.demo.develop import ENTERPRISES_BY_REGION
from gongshu.server.demo.stage import Stage
from gongshu.server.demo.supply import INCLUSIVE_FINANCE, PUBLIC_SERVICE
from gongshu.supervision import service as supervision

CALLS = 1_000
CALLS_MAX = 950
PILOT_CALLS = 50
PRICE = (Tier(500, "5.00"), Tier(None, "4.00"))
FREE = (Tier(None, "0"),)


@dataclass(frozen=True)
class Sale:
    """A contract in force and the key it is called with."""

    product: ProductVersion
    contract: Contract
    key_id: str
    secret: str


def sell(stage: Stage) -> None:
    """Step 7: listed with a price; the bank orders; both sign."""
    site, operator = stage.site, stage.people["operator"]
    product = products.define_product(
        site, operator, release_id=stage.made["verification_release"].id, title="企业信息核验",
        summary="输入统一社会信用代码、企业名称（可选法定代表人），返回一致、不一致或无记录。",
    )  # fmt: skip
    stage.must_refuse(
        7, "a price above the ceiling", "listing-above-ceiling",
        lambda: products.list_product(site, operator, product.id, tiers=(Tier(None, "6.01"),), charges_no_record=False),
    )  # fmt: skip
    listing = products.list_product(site, operator, product.id, tiers=PRICE, charges_no_record=False)
    pilot = products.define_product(
        site, operator, release_id=stage.made["pilot_release"].id, title="企业信息核对（公益）",
        summary="面向政务窗口，无偿。",
    )  # fmt: skip
    stage.must_refuse(
        7, "a charge for the public-welfare class", "listing-public-charges",
        lambda: products.list_product(site, operator, pilot.id, tiers=PRICE, charges_no_record=False),
    )  # fmt: skip
    free = products.list_product(site, operator, pilot.id, tiers=FREE, charges_no_record=False)
    days = timedelta(days=200)
    stage.made["sale"] = _contract(
        stage, product, listing.id, purpose=INCLUSIVE_FINANCE, length=days, calls_max=CALLS_MAX
    )
    stage.made["short_sale"] = _contract(
        stage, product, listing.id, purpose=INCLUSIVE_FINANCE, length=timedelta(days=1), calls_max=10
    )
    stage.made["pilot_sale"] = _contract(stage, pilot, free.id, purpose=PUBLIC_SERVICE, length=days, calls_max=10_000)
    contract = stage.made["sale"].contract
    stage.tell(
        7, "contract", f"合约 {contract.code} 双方签署，进入履行  (signed by both sides)",
        product=product.id, listing=listing.id, contract=contract.id, contract_code=contract.code,
        pilot_contract=stage.made["pilot_sale"].contract.id,
    )  # fmt: skip


def _contract(
    stage: Stage, product: ProductVersion, listing_id: ListingId, *, purpose: str, length: timedelta, calls_max: int
) -> Sale:
    site, bank = stage.site, stage.people["bank"]
    now = site.now()
    policy = UsagePolicy(
        purposes=(purpose,), period=Period(now, now + length), calls_max=calls_max, calls_per_day_max=calls_max,
        calls_per_second_max=10_000,
    )  # fmt: skip
    order = products.place_order(site, bank, listing_id, policy)
    drawn = products.draw_up_contract(site, stage.people["operator"], order.id)
    products.sign_contract(site, stage.people["operator"], drawn.id)
    contract = products.sign_contract(site, bank, drawn.id)
    secret, key = delivery.create_key(site, bank, contract.id)
    return Sale(product, contract, key.id, secret)


def _calls(known: list[dict[str, str]], count: int, start: str) -> list[Call]:
    """Return calls of which six in eight match, one does not, and one asks for an enterprise nobody registered."""
    calls = []
    for number in range(count):
        row = known[number % len(known)]
        fields = {"credit_code": row["统一社会信用代码"], "name": row["企业名称"]}
        if number % 8 == 6:
            fields["name"] = f"另一家企业{number}"
        elif number % 8 == 7:
            fields["credit_code"] = f"91999999MA{number:07d}X"
        elif number % 2:
            fields["legal_representative"] = row["法人代表"]
        calls.append(Call(f"{start}-{number:06d}", fields))
    return calls


def call(stage: Stage, known: list[dict[str, str]], port: int) -> None:
    """Step 8: a thousand calls by the bank; receipts on the answered ones, stable codes on the refused ones."""
    sale: Sale = stage.made["sale"]
    delivery.publish_snapshot(stage.site)
    with running_gateway(stage.site.home, port) as address:
        caller = Caller(address, sale.product.id, sale.secret, INCLUSIVE_FINANCE)
        calls = _calls(known, CALLS, "bank")
        answers = caller.send_all(calls)
        results = Counter(answer.result for answer in answers)
        again = caller.send_one(calls[0])
        pilot = _pilot_calls(stage, address, known)
        refused = _refused_calls(stage, caller, known)  # moves the clock, perhaps into the next month
        stage.made["pilot_answers"] = pilot
    served = [answer for answer in answers if answer.receipt.get("result") in {"match", "mismatch", "no_record"}]
    stage.check("exactly the agreed number of calls is served", holds=len(served) == CALLS_MAX)
    stage.check("a repeated request id is answered by the same call", holds=again.receipt == answers[0].receipt)
    stage.check("match, mismatch and no record all happen", holds={"match", "mismatch", "no_record"} <= set(results))
    stage.made.update(receipt=served[0].receipt, served=served, call_results=dict(results))
    stage.tell(
        8, "call", f"{CALLS} 次调用：{dict(results)}  ({CALLS} calls)",
        calls=CALLS, results=dict(results), refused_calls=refused, receipt=served[0].receipt,
        charged=sum(bool(answer.receipt["is_charged"]) for answer in served), pilot_calls=len(pilot),
    )  # fmt: skip


def _refused_calls(stage: Stage, caller: Caller, known: list[dict[str, str]]) -> dict[str, str]:
    """Try what a consumer may not do; return attempt → code."""
    fields = _calls(known, 1, "x")[0].fields
    short: Sale = stage.made["short_sale"]
    by_short = Caller(caller.address, short.product.id, short.secret, INCLUSIVE_FINANCE)
    stage.check("the short contract serves", holds=by_short.send_one(Call("short-1", fields)).result == "match")
    tried = {
        "wrong purpose": Caller(caller.address, caller.product, short.secret, "advertising").send_one(
            Call("wrong-purpose", fields)
        ),
        "no key": Caller(caller.address, caller.product, "", caller.purpose).send_one(Call("no-key", fields)),
        "unknown key": Caller(caller.address, caller.product, "x" * 43, caller.purpose).send_one(
            Call("bad-key", fields)
        ),
    }
    stage.move_to(stage.today() + timedelta(days=2))
    delivery.publish_snapshot(stage.site)  # the worker's duty: a gateway stops when its snapshot has grown old
    tried["expired contract"] = by_short.send_one(Call("short-2", fields))
    expected = {
        "wrong purpose": "purpose-not-agreed", "no key": "key-missing", "unknown key": "key-unknown",
        "expired contract": "contract-expired",
    }  # fmt: skip
    for attempt, code in expected.items():
        _must_be_refused(stage, 8, attempt, code, tried[attempt])
    return {attempt: answer.result for attempt, answer in tried.items()}


def _must_be_refused(stage: Stage, step: int, attempt: str, code: str, answer: Answer) -> None:
    stage.check(f"{attempt}: {answer.status} {answer.result}, not {code}", holds=answer.result == code)
    stage.check(f"{attempt} is not charged", holds=not answer.receipt.get("is_charged"))
    stage.refusals.append({"step": step, "attempt": attempt, "codes": [code], "http_status": answer.status})


def _pilot_calls(stage: Stage, address: str, known: list[dict[str, str]]) -> list[Answer]:
    sale: Sale = stage.made["pilot_sale"]
    caller = Caller(address, sale.product.id, sale.secret, PUBLIC_SERVICE)
    return caller.send_all(_calls(known, PILOT_CALLS, "window"))


def bill(stage: Stage) -> None:
    """Step 9: usage becomes a charge, a monthly statement and a split; sums agree to the fen."""
    site = stage.site
    segments = metering.collect(site)
    month = stage.made["calls_month"]
    stage.move_to(stage.next_month())
    statement = billing.create_statement(site, stage.people["operator"], stage.made["sale"].contract.id, month)
    again = billing.create_statement(site, stage.people["operator"], stage.made["sale"].contract.id, month)
    free = billing.create_statement(site, stage.people["operator"], stage.made["pilot_sale"].contract.id, month)
    charged = sum(bool(answer.receipt["is_charged"]) for answer in stage.made["served"])
    _check_sums(stage, statement, charged)
    stage.check("a second run gives the same statement", holds=again == statement)
    stage.check("the public class is metered", holds=free.charge.calls == PILOT_CALLS)
    stage.check("the public class is free", holds=free.charge.billed_cost_minor == 0)
    stage.made.update(statement=statement, free_statement=free)
    shares = {share.kind.value: share.amount_minor for share in statement.shares}
    stage.tell(
        9, "bill", f"计费 {charged} 次，应收 {statement.charge.billed_cost_minor} 分，分配 {shares}"
        f"  ({charged} charged calls, {statement.charge.billed_cost_minor} fen)",
        segments=[segment.id for segment in segments], statement=statement.id, calls=statement.charge.calls,
        charged_calls=charged, billed_cost_minor=statement.charge.billed_cost_minor, shares_minor=shares,
        free_statement=free.id, free_calls=free.charge.calls,
    )  # fmt: skip


def _check_sums(stage: Stage, statement: Statement, charged: int) -> None:
    total = statement.charge.billed_cost_minor
    stage.check("every charged call is billed", holds=statement.charge.charged_calls == charged)
    stage.check("tiers add up", holds=sum(line.consumed_quantity for line in statement.charge.lines) == charged)
    stage.check("shares add up to the fen", holds=sum(share.amount_minor for share in statement.shares) == total)


def trace(stage: Stage) -> None:
    """Step 10: from one receipt back to the manifest's digest, and forward from the resource to every yuan."""
    site, auditor = stage.site, stage.people["auditor"]
    back = supervision.lifeline_of_call(site, auditor, stage.made["receipt"]["call"])
    kinds = [node.kind for node in back.nodes]
    for kind in ("contract", "product", "release", "output", "job", "entitlement", "grant", "registration",
                 "resource_version"):  # fmt: skip
        stage.check(f"the walk back passes a {kind}", holds=kind in kinds)
    manifest = next(node for node in back.nodes if node.kind == "resource_version")
    stage.check("the walk ends at the manifest", holds=manifest.digest == stage.made["version"].manifest_digest)
    version = stage.made["version"]
    forward = supervision.lifeline_forward(site, auditor, "resource_version", version.id)
    reached = Counter(node.kind for node in forward.nodes)
    stage.check("forward reaches both products", holds=reached["product"] == 2)
    stage.tell(
        10, "trace", f"由回执追溯 {len(back.nodes)} 个环节至清单摘要 {manifest.digest[:12]}…"
        f"  (from the receipt back to the manifest in {len(back.nodes)} steps)",
        call=stage.made["receipt"]["call"], back=[f"{node.kind}:{node.id}" for node in back.nodes],
        manifest_digest=manifest.digest, forward=dict(reached),
    )  # fmt: skip


def end(stage: Stage, known: list[dict[str, str]], port: int) -> None:
    """Step 11: the agency ends the pilot's grant; everything under it stops from that second."""
    site, agency = stage.site, stage.people["agency"]
    sale: Sale = stage.made["pilot_sale"]
    fields = _calls(known, 1, "x")[0].fields
    delivery.publish_snapshot(site)
    with running_gateway(site.home, port) as address:
        caller = Caller(address, sale.product.id, sale.secret, PUBLIC_SERVICE)
        before = caller.send_one(Call("before-the-end", fields))
        stage.check(f"served before the end: {before.result}", holds=before.result == "match")
        exit_record = supervision.end_grant(site, agency, stage.made["pilot_grant"].id, "试点期满评估后终止")
        after = caller.send_one(Call("after-the-end", fields))
        _must_be_refused(stage, 11, "a call under an ended grant", "grant-ended", after)
    stage.must_refuse(
        11, "a job under an ended grant", "entitlement-ended",
        lambda: compute.submit_sql(
            site, stage.people["developer"], stage.made["pilot_entitlement"].id, "x", ENTERPRISES_BY_REGION
        ),
    )  # fmt: skip
    metering.collect(site)
    stage.tell(
        11, "end", f"试点授权终止，停止 {len(exit_record.disposals)} 项，退出记录 {exit_record.id}"
        f"  (the pilot's grant ended; {len(exit_record.disposals)} objects stopped)",
        grant=stage.made["pilot_grant"].id, exit_record=exit_record.id,
        disposals=[f"{item.kind}:{item.ref.id}" for item in exit_record.disposals],
    )  # fmt: skip
