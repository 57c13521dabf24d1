"""Gateways over the API and on their page: registered by the administrator, seen by those who oversee, in both languages."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from gongshu.access.types import Actor, Role
from gongshu.base.ids import PartyId, PersonId
from gongshu.base.site import Site
from gongshu.parties import service as parties
from gongshu.parties import store as parties_store
from gongshu.parties.types import Party, Person
from gongshu.server.asgi import create_app

PEOPLE = {
    "root": Role.PLATFORM_ADMINISTRATOR,
    "agency": Role.IMPLEMENTING_AGENCY,
    "bank": Role.CONSUMER,
}
GATEWAY = {"name": "g2", "address": "http://10.0.0.12:8001"}


@pytest.fixture
def asking(sqlite_site: Site) -> Iterator[tuple[TestClient, dict[str, dict[str, str]]]]:
    """Give a client and each person's headers."""
    headers = {}
    for number, (login, role) in enumerate(PEOPLE.items()):
        actor = Actor(PersonId(login), PartyId(login), frozenset({role}), name=login)
        with sqlite_site.db.transaction() as tx:
            parties_store.PARTIES.add(tx, Party(actor.party, login, f"{number}" * 18, frozenset(Role), "350100"))
            parties_store.PEOPLE.add(tx, Person(actor.person, actor.party, login, login, actor.roles))
        headers[login] = {"Authorization": f"Bearer {parties.create_token(sqlite_site, actor, label='test')[0]}"}
    with TestClient(create_app(sqlite_site)) as client:
        yield client, headers


def test_the_administrator_registers_and_the_agency_sees(asking):
    client, headers = asking
    made = client.post("/api/v1/gateways", json=GATEWAY, headers=headers["root"])
    assert (made.status_code, made.json()["status"]) == (201, "registered")
    shown = client.get("/api/v1/gateways", headers=headers["agency"]).json()
    assert [one["name"] for one in shown["gateways"]] == ["g2"]
    assert client.get("/api/v1/gateways", headers=headers["bank"]).status_code == 403
    assert client.post("/api/v1/gateways", json=GATEWAY, headers=headers["agency"]).status_code == 403


def test_a_gateway_that_is_no_member_is_not_written_off(asking):
    client, headers = asking
    client.post("/api/v1/gateways", json=GATEWAY, headers=headers["root"])
    refused = client.post("/api/v1/gateways/g2/write-off", json={"reason": "lost"}, headers=headers["root"])
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong-status")
    unknown = client.post("/api/v1/gateways/g9/write-off", json={"reason": "lost"}, headers=headers["root"])
    assert unknown.status_code == 404


@pytest.mark.parametrize(("language", "word"), [("zh", "合约如何分布"), ("en", "How contracts are spread")])
def test_the_page_shows_them_in_both_languages(asking, language, word):
    client, headers = asking
    client.post("/api/v1/gateways", json=GATEWAY, headers=headers["root"])
    for login in ("root", "agency"):
        asked = headers[login] | {"Accept": "text/html", "Accept-Language": language}
        page = client.get("/gateways", headers=asked)
        assert page.status_code == 200
        assert word in page.text
        assert "http://10.0.0.12:8001" in page.text
        assert ('action="/gateways"' in page.text) == (login == "root")


def test_without_gateways_the_page_says_that_one_serves_everything(asking):
    client, headers = asking
    page = client.get("/gateways", headers=headers["agency"] | {"Accept": "text/html", "Accept-Language": "en"})
    assert "One gateway serves everything" in page.text
