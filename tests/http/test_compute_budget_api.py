"""Budgets over HTTP and on the pages; what an agency demands travels from its decision to the entitlement."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from gongshu.access.types import Role
from gongshu.base.site import Site
from gongshu.compute import cli
from gongshu.parties import service as parties
from gongshu.parties import store as parties_store
from gongshu.parties.types import Party, Person
from gongshu.policies.types import Clamp, ContributionBounds, Noise, NoiseMechanism, Protection
from gongshu.scenarios import store as scenarios_store
from gongshu.server.asgi import create_app
from gongshu.server.edge import SESSION_COOKIE
from tests.governed_site import DEVELOPER, ENTITLEMENT, RESOURCE, STRANGER, settle

BASE = f"/api/v1/entitlements/{ENTITLEMENT}"
COUNTED = "SELECT count(*) AS n FROM enterprise"
NOISE = Noise(NoiseMechanism.LAPLACE, 500, 1000, 1000, 1000, (Clamp(RESOURCE, "注册资本", 0, 100),))


@pytest.fixture
def client(sqlite_site: Site) -> Iterator[TestClient]:
    site = sqlite_site
    settle(site)
    with site.db.transaction() as tx:
        before = scenarios_store.ENTITLEMENTS.get(tx, ENTITLEMENT)
        thresholds = replace(before.thresholds, protection=Protection(ContributionBounds(1, 1), noise=NOISE))
        scenarios_store.ENTITLEMENTS.save(tx, before, replace(before, thresholds=thresholds))
        for number, actor in enumerate((DEVELOPER, STRANGER)):
            parties_store.PARTIES.add(tx, Party(actor.party, actor.party, f"{number:018d}", frozenset(Role), "350100"))
            parties_store.PEOPLE.add(tx, Person(actor.person, actor.party, actor.name, actor.person, actor.roles))
    with TestClient(create_app(site)) as made:
        yield made


def headers(site, actor):
    return {"Authorization": f"Bearer {parties.create_token(site, actor, label='test')[0]}"}


def test_a_budget_is_read_and_runs_out_over_http(client, sqlite_site, capsys):
    mine, theirs = headers(sqlite_site, DEVELOPER), headers(sqlite_site, STRANGER)
    explained = client.post(f"{BASE}/sql/explain", json={"sql": COUNTED}, headers=mine).json()
    assert explained["query"]["price"] == {"epsilon_milli": 500, "delta_pico": 0, "measurements": 1}
    assert explained["budget"]["epsilon_milli"] == 1000
    for sql in (COUNTED, f"{COUNTED} "):
        assert client.post(f"{BASE}/jobs/sql", json={"title": "计数", "sql": sql}, headers=mine).status_code == 201
    told = client.get(f"{BASE}/budget", headers=mine).json()
    assert (told["budget"]["epsilon_milli_spent"], len(told["charges"])) == (1000, 2)
    spent = client.post(f"{BASE}/jobs/sql", json={"title": "计数", "sql": f" {COUNTED}"}, headers=mine)
    assert (spent.status_code, [reason["code"] for reason in spent.json()["reasons"]]) == (429, ["budget-spent"])
    assert client.get(f"{BASE}/budget", headers=theirs).status_code == 404
    assert cli.show_budget(sqlite_site, ENTITLEMENT) == 0
    assert "left 剩余 0" in capsys.readouterr().out
    assert cli.sql_explain(sqlite_site, ENTITLEMENT, COUNTED) == 0
    assert "ε=0.5" in capsys.readouterr().out


def test_the_page_of_an_entitlement_shows_what_is_left(client, sqlite_site):
    mine = headers(sqlite_site, DEVELOPER)
    client.post(f"{BASE}/jobs/sql", json={"title": "计数", "sql": COUNTED}, headers=mine)
    secret, _ = parties.sign_in_as(replace(sqlite_site, is_demo=True), DEVELOPER.person)
    client.cookies.set(SESSION_COOKIE, secret)
    page = client.get(f"/entitlements/{ENTITLEMENT}", headers={"Accept-Language": "en"})
    assert page.status_code == 200
    assert "Privacy budget" in page.text
    assert "0.5 / 1" in page.text
