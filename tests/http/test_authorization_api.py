"""From admission to entitlement over HTTP: every route of parties, registry, grants and scenarios answers as promised."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.testclient import TestClient

from gongshu.access.types import Actor, Role
from gongshu.base.decisions import Refused
from gongshu.base.digest import canonical_json
from gongshu.base.ids import PartyId, PersonId
from gongshu.grants.api import router as grants_router
from gongshu.parties.api import router as parties_router
from gongshu.parties.types import ANONYMOUS
from gongshu.registry import service as registry
from gongshu.registry.api import router as registry_router
from gongshu.scenarios.api import router as scenarios_router
from gongshu.server.problems import problem_response
from tests import authorization as way

DECISION = dataclasses.asdict(way.DECISION)
PARTS = [dataclasses.asdict(part) for part in way.plan_parts()]
FILING = {
    "version_number": 1, "title": "企业登记", "summary": "企业登记信息",
    "materials": [dataclasses.asdict(material) for material in way.materials()],
}  # fmt: skip


class City:
    """A client that speaks as anybody of the city, as the real edge does from a credential."""

    def __init__(self, site, actors, clock, client):
        self.site, self.actors, self.clock, self.client = site, actors, clock, client

    def ask(self, who, method, path, body=None, *, status=200, **query):
        headers = {"who": who, "content-type": "application/json"}
        content = None if body is None else canonical_json(body)
        answer = self.client.request(method, f"/api/v1{path}", headers=headers, content=content, params=query)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def codes(self, who, method, path, body=None, *, status):
        return [reason["code"] for reason in self.ask(who, method, path, body, status=status)["reasons"]]


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    """Give a city whose routes answer without the server's outer layers."""
    with way.city(tmp_path) as (site, actors, clock):
        actors["administrator"] = Actor(PersonId("root"), PartyId("centre"), frozenset({Role.PLATFORM_ADMINISTRATOR}))
        app = FastAPI()
        app.state.site = site

        @app.middleware("http")
        async def identify(request: Request, call_next):
            request.state.actor = actors.get(request.headers["who"], ANONYMOUS)
            return await call_next(request)

        async def refused(request: Request, error: Refused):
            return problem_response(request, error.reasons)

        app.add_exception_handler(Refused, refused)
        for router in (parties_router, registry_router, grants_router, scenarios_router):
            app.include_router(router, prefix="/api/v1")
        with TestClient(app) as client:
            yield City(site, actors, clock, client)


def test_organisations_people_and_tokens(city):
    new = {"name": "二号银行", "credit_code": "91370200MA0000005H", "roles": ["consumer"], "region": "3702"}
    party = city.ask("administrator", "POST", "/parties", new, status=201)
    assert city.codes("administrator", "POST", "/parties", new, status=409) == ["party-exists"]
    assert city.codes("bank", "POST", "/parties", new, status=403) == ["permission-missing"]
    assert city.codes("administrator", "POST", "/parties", new | {"credit_code": "9"}, status=422) == [
        "credit-code-wrong"
    ]
    assert city.ask("nobody", "GET", f"/parties/{party['id']}")["name"] == "二号银行"
    listed = city.ask("nobody", "GET", "/parties", limit=2)
    assert len(listed["rows"]) == 2
    assert listed["next_after"]
    assert city.ask("nobody", "GET", "/parties", after=listed["next_after"])["rows"][0]["id"] != listed["rows"][0]["id"]
    people = f"/parties/{party['id']}/people"
    clerk = {"name": "信达", "login": "xin.da", "password": "correct-horse-7", "roles": ["consumer"]}
    person = city.ask("administrator", "POST", people, clerk, status=201)
    assert "password" not in person
    assert [row["login"] for row in city.ask("administrator", "GET", people)["rows"]] == ["xin.da"]
    assert city.codes("nobody", "GET", people, status=404) == ["not-found"]
    gone = city.ask("administrator", "POST", f"/people/{person['id']}/deactivation")
    assert gone["is_active"] is False
    changed = city.ask("administrator", "PUT", f"/parties/{party['id']}/affiliates", {"affiliates": ["bank"]})
    assert changed["affiliates"] == ["bank"]
    made = city.ask("bank", "POST", "/tokens", {"label": "脚本", "days": 30}, status=201)
    assert made["secret"].startswith("gst_")
    assert [row["id"] for row in city.ask("bank", "GET", "/tokens")["rows"]] == [made["token"]["id"]]
    city.ask("bank", "DELETE", f"/tokens/{made['token']['id']}", status=204)
    assert city.codes("nobody", "POST", "/tokens", {"label": ""}, status=401) == ["not-signed-in"]


def register(city):
    filed = city.ask("supplier", "POST", "/registrations", FILING | {"resource_id": way.RESOURCE}, status=201)
    path = f"/registrations/{filed['id']}"
    city.ask("registrar", "POST", f"{path}/acceptance")
    city.ask("registrar", "POST", f"{path}/review", {})
    city.clock.time += way.timedelta(days=30)
    return city.ask("registrar", "POST", f"{path}/code")


def test_a_registration_is_returned_supplemented_objected_to_and_coded(city):
    body = FILING | {"resource_id": way.RESOURCE}
    assert city.codes("bank", "POST", "/registrations", body, status=403) == ["permission-missing"]
    assert (
        city.codes("supplier", "POST", "/registrations", body | {"materials": []}, status=422)
        == ["material-missing"] * 7
    )
    filed = city.ask("supplier", "POST", "/registrations", body, status=201)
    path = f"/registrations/{filed['id']}"
    city.ask("registrar", "POST", f"{path}/return", {"defects": ["简介过短"]})
    city.ask("supplier", "POST", f"{path}/resubmission", FILING)
    city.ask("registrar", "POST", f"{path}/acceptance")
    city.ask("registrar", "POST", f"{path}/review", {"explanation": ""})
    (notice,) = city.ask("nobody", "GET", "/publicity")["rows"]
    assert set(notice["items"]) == {"registrant", "kind", "title", "summary"}
    assert city.codes("nobody", "POST", f"{path}/objection", {"evidence": "x"}, status=401) == ["objection-anonymous"]
    city.ask("bank", "POST", f"{path}/objection", {"evidence": "名称有误"}, status=204)
    city.ask("registrar", "POST", f"{path}/objection/decision", {"upholds": False, "reason": "不成立"})
    assert city.codes("registrar", "POST", f"{path}/code", status=409) == ["publicity-running"]
    city.clock.time += way.timedelta(days=30)
    coded = city.ask("registrar", "POST", f"{path}/code")
    shown = city.ask("nobody", "GET", f"/codes/{coded['code']}")
    assert (shown["is_trial"], shown["items"]["title"]) == (True, "企业登记")
    assert city.codes("nobody", "GET", "/codes/791350000MA0000000F450000000007F", status=404) == ["not-found"]
    assert city.ask("supplier", "GET", path)["code"] == coded["code"]
    assert city.codes("bank", "GET", path, status=404) == ["not-found"]
    assert len(city.ask("auditor", "GET", "/registrations")["rows"]) == 1
    city.ask("registrar", "POST", f"{path}/cancellation", {"ground": "lost", "reason": "灭失"})
    assert city.codes("registrar", "POST", f"{path}/refusal", {"reason": "x"}, status=409) == ["wrong-status"]


def grant(city):
    coded = register(city)
    with city.site.db.reading() as tx:
        terms = way.grant_terms(registry.registration_in(tx, coded["id"]))
    plan = city.ask("agency", "POST", "/plans", {"title": "方案", "mode": "scenario", "parts": PARTS[:1]}, status=201)
    path = f"/plans/{plan['id']}"
    assert city.codes("agency", "POST", f"{path}/submission", status=422) == ["part-missing"] * 11
    city.ask("agency", "PUT", path, {"title": "方案", "mode": "scenario", "parts": PARTS})
    city.ask("agency", "POST", f"{path}/submission")
    undecided = {"approves": True, "reason": "同意"}
    assert city.codes("government", "POST", f"{path}/decision", undecided, status=422) == ["plan-decision-missing"]
    city.ask("government", "POST", f"{path}/decision", undecided | {"decision": DECISION})
    parts = [dataclasses.asdict(part) for part in way.agreement_parts()]
    body = {"plan_id": plan["id"], "selection": "negotiation", "terms": terms, "parts": parts}
    short = city.codes("agency", "POST", "/agreements", body | {"parts": parts[1:], "selection": None}, status=422)
    assert short == ["selection-missing", "part-missing"]
    agreement = city.ask("agency", "POST", "/agreements", body, status=201)
    path = f"/agreements/{agreement['id']}"
    city.ask("agency-head", "POST", f"{path}/signature", {"decision": DECISION})
    city.ask("operator", "POST", f"{path}/signature", {})
    other = city.ask("agency", "POST", "/agreements", body, status=201)
    city.ask("agency", "POST", f"/agreements/{other['id']}/withdrawal", {"reason": "重复"})
    return city.ask("agency", "POST", f"{path}/grant", status=201)


def test_a_plan_becomes_an_agreement_becomes_a_grant(city):
    issued = grant(city)
    assert city.ask("operator", "GET", f"/grants/{issued['id']}")["status"] == "active"
    assert city.codes("other-operator", "GET", f"/grants/{issued['id']}", status=404) == ["not-found"]
    assert city.codes("agency", "GET", f"/grants/{issued['id']}/exit-record", status=404) == ["not-found"]
    assert len(city.ask("auditor", "GET", "/grants")["rows"]) == 1
    assert len(city.ask("auditor", "GET", "/agreements")["rows"]) == 2
    assert len(city.ask("government", "GET", "/plans")["rows"]) == 1
    assert city.ask("agency", "GET", f"/agreements/{issued['agreement']['id']}")["status"] == "effective"
    scope = city.ask("agency", "GET", f"/resources/{way.RESOURCE}/scope")
    assert scope == issued["terms"]["scope"][0]
    assert (
        city.ask("agency", "GET", f"/plans/{city.ask('agency', 'GET', '/plans')['rows'][0]['id']}")["title"] == "方案"
    )


def test_a_scenario_is_scored_and_becomes_an_entitlement(city):
    issued = grant(city)
    need = {"resource": way.RESOURCE, "column": "code", "uses": ["compare"], "necessity": "核验"}
    terms = {
        "grant": issued["id"], "title": "普惠金融", "purpose": "inclusive_finance", "product_class": "industrial",
        "needs": [need], "developer": "developer",
        "period": {"start": "2026-04-01T09:00:00+08:00", "end": "2026-12-31T00:00:00+08:00"},
    }  # fmt: skip
    wide = {"terms": terms | {"needs": [need | {"uses": ["reveal"]}]}}
    assert city.codes("operator", "POST", "/scenarios", wide, status=403) == ["need-beyond-grant"]
    naive = {"terms": terms | {"period": {"start": "2026-04-01T09:00:00", "end": "2026-12-31T00:00:00"}}}
    assert city.codes("operator", "POST", "/scenarios", naive, status=422) == ["scenario-period-wrong"]
    filed = city.ask("operator", "POST", "/scenarios", {"terms": terms}, status=201)
    path = f"/scenarios/{filed['id']}"
    given = {"points": way.FULL_POINTS, "reasons": dict.fromkeys(way.FULL_POINTS, "符合")}
    for number in (1, 2, 3):
        assert city.codes("agency", "POST", f"{path}/decision", {"approves": True}, status=409) == ["scores-missing"]
        city.ask(f"assessor-{number}", "POST", f"{path}/scores", given, status=201)
    assert city.ask("operator", "GET", f"{path}/score-summary")["mean"] == "80.0"
    made = city.ask("agency", "POST", f"{path}/decision", {"approves": True, "reason": "同意"})
    assert made["thresholds"]["units_min"] == 10
    assert city.ask("developer", "GET", f"/entitlements/{made['id']}") == made
    assert city.ask("developer", "GET", path)["status"] == "approved"
    assert len(city.ask("developer", "GET", "/entitlements")["rows"]) == 1
    assert len(city.ask("operator", "GET", "/scenarios")["rows"]) == 1
    second = city.ask("operator", "POST", "/scenarios", {"terms": terms}, status=201)
    rejected = city.ask("agency", "POST", f"/scenarios/{second['id']}/decision", {"approves": False, "reason": "重复"})
    assert rejected["status"] == "rejected"
