"""From an output to a statement and to the end of the grant, through the API as it is wired."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from gongshu.access.types import Actor, Role
from gongshu.base.site import Site
from gongshu.egress import service as egress
from gongshu.metering.types import ResultCode
from gongshu.parties import service as parties
from gongshu.parties import store as parties_store
from gongshu.parties.types import Party, Person
from gongshu.products import service as products
from gongshu.server.asgi import create_app
from tests import samples, world
from tests.world import AGENCY, AUDITOR, BANK, CONFORMITY, DEVELOPER, OPERATOR, SECURITY

Ask = Callable[..., Any]


@pytest.fixture
def ask(sqlite_site: Site) -> Iterator[Ask]:
    """Give a function that sends a request as somebody and checks the status of the answer."""
    site = sqlite_site
    world.settle(site)
    tokens = {}
    with site.db.transaction() as tx:
        parties_store.PARTIES.add(tx, Party(AUDITOR.party, "审计", "8" * 18, frozenset(Role), "350100"))
        for actor in (OPERATOR, DEVELOPER, BANK, AGENCY, SECURITY, CONFORMITY, AUDITOR):
            parties_store.PEOPLE.add(tx, Person(actor.person, actor.party, actor.name, actor.person, actor.roles))
    for actor in (OPERATOR, DEVELOPER, BANK, AGENCY, SECURITY, CONFORMITY, AUDITOR):
        tokens[actor.person] = parties.create_token(site, actor, label="test")[0]
    with TestClient(create_app(site)) as client:

        def send(actor: Actor | None, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
            headers = {"Authorization": f"Bearer {tokens[actor.person]}"} if actor else {}
            answer = client.request(method, f"/api/v1{path}", json=body, headers=headers)
            assert answer.status_code == expect, answer.text
            return answer.json()

        yield send


def codes(problem: Any) -> list[str]:
    return [reason["code"] for reason in problem["reasons"]]


def review(ask: Ask, output: Any, digest: str) -> None:
    for actor, kind in ((SECURITY, "security"), (CONFORMITY, "conformity")):
        ballot = {"kind": kind, "digest": digest, "approves": True, "reason": "符合要求"}
        ask(actor, "POST", f"/outputs/{output['id']}/votes", ballot, expect=201)


def released(ask: Ask, site: Site) -> Any:
    output = egress.collect(site, world.run_job(site).id)
    shown = ask(DEVELOPER, "POST", f"/outputs/{output.id}/submit", {"context": "按区域统计"})
    review(ask, shown, output.digest)
    return ask(OPERATOR, "POST", f"/outputs/{output.id}/release", expect=201)


def contracted(ask: Ask, site: Site, release: Any) -> Any:
    product = ask(
        OPERATOR,
        "POST",
        "/products",
        {"release_id": release["id"], "title": "区域分布", "summary": "按区域"},
        expect=201,
    )
    price = {"product_id": product["id"], "tiers": [{"up_to": 10, "rate": "5.00"}, {"up_to": None, "rate": "4.00"}]}
    listing = ask(OPERATOR, "POST", "/listings", price, expect=201)
    now = site.now()
    policy = {
        "purposes": [samples.PURPOSE], "calls_max": 100, "calls_per_day_max": 100, "calls_per_second_max": 10,
        "period": {"start": now.isoformat(), "end": (now + timedelta(days=100)).isoformat()},
    }  # fmt: skip
    order = ask(BANK, "POST", "/orders", {"listing_id": listing["id"], "policy": policy}, expect=201)
    contract = ask(OPERATOR, "POST", f"/orders/{order['id']}/contract", expect=201)
    ask(OPERATOR, "POST", f"/contracts/{contract['id']}/sign")
    return ask(BANK, "POST", f"/contracts/{contract['id']}/sign")


def test_an_output_is_reviewed_and_released(ask: Ask, sqlite_site: Site) -> None:
    output = egress.collect(sqlite_site, world.run_job(sqlite_site).id)
    assert codes(ask(OPERATOR, "POST", f"/outputs/{output.id}/release", expect=403)) == [
        "wrong-status",
        "reviews-incomplete",
    ]
    ask(DEVELOPER, "POST", f"/outputs/{output.id}/submit", {"context": "按区域统计"})
    assert [row["id"] for row in ask(SECURITY, "GET", "/outputs?status=in_review")["rows"]] == [output.id]
    preview = ask(SECURITY, "POST", f"/outputs/{output.id}/previews?limit=2")
    assert (preview["columns"], preview["total"]) == (["region", "enterprises"], 6)
    refused = ask(DEVELOPER, "POST", f"/outputs/{output.id}/previews", expect=403)
    assert codes(refused) == ["preview-before-release"]
    stale = {"kind": "security", "digest": "0", "approves": True, "reason": "x"}
    assert codes(ask(SECURITY, "POST", f"/outputs/{output.id}/votes", stale, expect=409)) == ["review-digest-stale"]
    review(ask, {"id": output.id}, output.digest)
    release = ask(OPERATOR, "POST", f"/outputs/{output.id}/release", expect=201)
    assert ask(DEVELOPER, "GET", f"/releases/{release['id']}") == release
    assert [row["id"] for row in ask(OPERATOR, "GET", "/releases")["rows"]] == [release["id"]]
    assert ask(DEVELOPER, "GET", f"/outputs/{output.id}")["status"] == "released"
    ask(BANK, "GET", f"/outputs/{output.id}", expect=403)


def test_a_product_is_listed_ordered_contracted_and_billed(ask: Ask, sqlite_site: Site) -> None:
    contract = contracted(ask, sqlite_site, released(ask, sqlite_site))
    assert contract["status"] == "performing"
    assert [row["id"] for row in ask(None, "GET", "/listings")["rows"]], "the market is open to everybody"
    kept = products.get_contract(sqlite_site, AUDITOR, contract["id"])
    positions = world.call(sqlite_site, kept, {ResultCode.MATCH: 12, ResultCode.NO_RECORD: 1})
    statement = ask(OPERATOR, "POST", "/statements", {"contract_id": kept.id, "month": "2026-03-02"}, expect=201)
    assert statement["charge"]["billed_cost_minor"] == 5_800
    assert ask(BANK, "GET", f"/statements/{statement['id']}") == statement
    assert ask(BANK, "GET", f"/statements?contract_id={kept.id}")["rows"] == [statement]
    assert ask(AUDITOR, "GET", "/billing/totals")["billed_cost_minor"] == 5_800
    lifeline = ask(AUDITOR, "GET", f"/lifelines/calls/{positions[0]}")
    assert next(node["kind"] for node in lifeline["nodes"]) == "call"
    back = ask(AUDITOR, "GET", f"/lifelines/contract/{kept.id}/back")
    assert {"product", "release", "review", "output"} <= {node["kind"] for node in back["nodes"]}
    output_id = next(node["id"] for node in back["nodes"] if node["kind"] == "output")
    forward = ask(AUDITOR, "GET", f"/lifelines/output/{output_id}/forward")
    assert [row["billed_cost_minor"] for row in forward["income"]] == [5_800]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/statements", {"contract_id": "x", "month": "9999-12-31"}),
        ("/statements", {"contract_id": "x", "month": "0001-01-01"}),
        ("/listings", {"product_id": "x", "tiers": [{"up_to": "many", "rate": "1"}]}),
    ],
)
def test_what_has_the_wrong_shape_is_refused_at_the_edge(ask: Ask, path: str, body: Any) -> None:
    ask(OPERATOR, "POST", path, body, expect=422)


def test_a_period_needs_its_time_zone(ask: Ask) -> None:
    policy = {
        "purposes": [samples.PURPOSE], "calls_max": 100, "calls_per_day_max": 100, "calls_per_second_max": 10,
        "period": {"start": "2026-03-02T09:00:00", "end": "2026-04-02T09:00:00"},
    }  # fmt: skip
    ask(BANK, "POST", "/orders", {"listing_id": "x", "policy": policy}, expect=422)


def test_a_contract_is_terminated_and_a_listing_taken_down(ask: Ask, sqlite_site: Site) -> None:
    contract = contracted(ask, sqlite_site, released(ask, sqlite_site))
    ask(BANK, "POST", f"/contracts/{contract['id']}/terminate", {"reason": ""}, expect=422)
    ended = ask(BANK, "POST", f"/contracts/{contract['id']}/terminate", {"reason": "不再需要"})
    assert ended["end_reason"] == "不再需要"
    assert ask(OPERATOR, "GET", f"/contracts/{contract['id']}") == ended
    assert [row["id"] for row in ask(OPERATOR, "GET", "/contracts")["rows"]] == [contract["id"]]
    (listing,) = ask(None, "GET", "/listings")["rows"]
    assert ask(BANK, "GET", f"/orders/{contract['terms']['order']['id']}")["status"] == "contracted"
    assert len(ask(BANK, "GET", "/orders")["rows"]) == 1
    assert ask(None, "GET", f"/products/{listing['product_id']}")["title"] == "区域分布"
    assert len(ask(OPERATOR, "GET", "/products")["rows"]) == 1
    ask(OPERATOR, "POST", f"/listings/{listing['id']}/delist", {"reason": "换价"})
    assert ask(None, "GET", "/listings")["rows"] == []
    assert ask(None, "GET", f"/listings/{listing['id']}")["status"] == "delisted"


def test_the_end_of_a_grant_is_one_request(ask: Ask, sqlite_site: Site) -> None:
    contract = contracted(ask, sqlite_site, released(ask, sqlite_site))
    ask(OPERATOR, "POST", "/grants/grant-1/end", {"reason": "期满"}, expect=403)
    record = ask(AGENCY, "POST", "/grants/grant-1/end", {"reason": "期满"})
    assert {"artifact", "contract", "output", "entitlement"} <= {item["kind"] for item in record["disposals"]}
    assert ask(BANK, "GET", f"/contracts/{contract['id']}")["status"] == "terminated"
    assert codes(ask(AGENCY, "POST", "/grants/grant-1/end", {"reason": "再次"}, expect=409)) == ["wrong-status"]
