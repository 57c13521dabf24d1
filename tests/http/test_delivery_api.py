"""Keys and calls through the API as it is wired."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from gongshu.access.types import Actor
from gongshu.base.site import Site
from gongshu.metering.types import ResultCode
from gongshu.parties import service as parties
from gongshu.parties import store as parties_store
from gongshu.parties.types import Person
from gongshu.products.types import Contract
from gongshu.server.asgi import create_app
from tests import samples, world
from tests.world import BANK, OPERATOR

SHOP = samples.actor(samples.BUREAU, *BANK.roles, person="shop-person")
Ask = Callable[..., Any]


@pytest.fixture
def contract(sqlite_site: Site) -> Contract:
    """A contract that both sides signed."""
    world.settle(sqlite_site)
    return world.contracted(sqlite_site, world.listed(sqlite_site))


@pytest.fixture
def ask(sqlite_site: Site, contract: Contract) -> Iterator[Ask]:
    """Give a function that sends a request as somebody and checks the status of the answer."""
    tokens = {}
    with sqlite_site.db.transaction() as tx:
        for actor in (BANK, OPERATOR, SHOP):
            parties_store.PEOPLE.add(tx, Person(actor.person, actor.party, actor.name, actor.person, actor.roles))
    for actor in (BANK, OPERATOR, SHOP):
        tokens[actor.person] = parties.create_token(sqlite_site, actor, label="test")[0]
    with TestClient(create_app(sqlite_site)) as client:

        def send(actor: Actor, method: str, path: str, *, expect: int = 200) -> Any:
            headers = {"Authorization": f"Bearer {tokens[actor.person]}"}
            answer = client.request(method, f"/api/v1{path}", headers=headers)
            assert answer.status_code == expect, answer.text
            return answer.json()

        yield send


def test_a_consumer_makes_lists_and_revokes_its_keys(ask, contract):
    made = ask(BANK, "POST", f"/contracts/{contract.id}/keys", expect=201)
    assert made["secret"].startswith("gsk_")
    assert set(made["key"]) == {"id", "contract", "created_at", "kind", "revoked_at"}
    assert [row["id"] for row in ask(BANK, "GET", f"/contracts/{contract.id}/keys")["rows"]] == [made["key"]["id"]]
    assert ask(BANK, "POST", f"/keys/{made['key']['id']}/revoke")["revoked_at"]
    again = ask(BANK, "POST", f"/keys/{made['key']['id']}/revoke", expect=409)
    assert again["code"] == "key-revoked-already"


def test_the_keys_of_others_are_not_there(ask, contract):
    made = ask(BANK, "POST", f"/contracts/{contract.id}/keys", expect=201)
    ask(SHOP, "POST", f"/contracts/{contract.id}/keys", expect=404)
    ask(SHOP, "POST", f"/keys/{made['key']['id']}/revoke", expect=404)
    ask(OPERATOR, "POST", f"/contracts/{contract.id}/keys", expect=403)
    assert ask(SHOP, "GET", f"/contracts/{contract.id}/keys")["rows"] == []


def test_calls_are_listed_to_both_sides_page_by_page(ask, contract, sqlite_site):
    world.call(sqlite_site, contract, {ResultCode.MATCH: 3})
    first = ask(BANK, "GET", f"/contracts/{contract.id}/calls?limit=2")
    rest = ask(OPERATOR, "GET", f"/contracts/{contract.id}/calls?limit=2&after={first['next_after']}")
    seen = [row["request_id"] for row in first["rows"] + rest["rows"]]
    assert seen == ["gw1-2", "gw1-1", "gw1-0"]
    assert rest["next_after"] == ""
    ask(SHOP, "GET", f"/contracts/{contract.id}/calls", expect=404)
