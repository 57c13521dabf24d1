"""The application as it is wired, and one person for each role, each of an organisation of its own."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from examples.city import make_city
from gongshu.access.types import Actor, Role
from gongshu.base.days import Period
from gongshu.base.ids import ConsentId, PartyId, PersonId
from gongshu.base.site import Site
from gongshu.compute import service as compute
from gongshu.compute.types import JointKind, JointLearners
from gongshu.consents.store import CONSENTS
from gongshu.consents.types import Consent, ConsentStatus, ConsentTerms
from gongshu.parties import service as parties
from gongshu.parties import store
from gongshu.parties.types import Party, Person
from gongshu.server.asgi import create_app
from gongshu.server.demo import develop, market, supply
from gongshu.server.demo.cast import set_up_cast
from gongshu.server.demo.policy import UNIT
from gongshu.server.demo.stage import Stage
from gongshu.server.migrate import upgrade
from gongshu.server.wiring import make_site

Headers = dict[str, str]

TABLES = {
    "agreement_id": "agreement", "contract_id": "contract", "entitlement_id": "entitlement",
    "grant_id": "authorization_grant", "job_id": "job", "joint_id": "joint_agreement", "key_id": "api_key", "listing_id": "listing",
    "order_id": "product_order", "output_id": "output", "party_id": "party", "person_id": "person", "plan_id": "plan",
    "product_id": "product", "registration_id": "registration", "release_id": "release", "resource_id": "resource",
    "scenario_id": "scenario", "consent_id": "consent", "entry_id": "audit_entry",
}  # fmt: skip
"""Where an object of each kind that a path may name is kept."""


class Town:
    """A running application on an empty database, and who may knock at it."""

    def __init__(self, site: Site, client: TestClient) -> None:
        self.site, self.client = site, client
        self.document: dict[str, Any] = client.app.openapi()  # type: ignore[attr-defined]
        self._admitted: dict[frozenset[Role], Headers] = {}

    def somebody(self, *roles: Role) -> Headers:
        """Return the credential of a person who holds exactly ``roles``."""
        held = frozenset(roles)
        if held not in self._admitted:
            name = f"{len(self._admitted):02d}"
            party = Party(PartyId(f"party-{name}"), name, name, held, "310000", is_public_institution=True)
            person = Person(PersonId(f"person-{name}"), party.id, name, f"login-{name}", held)
            with self.site.db.transaction() as tx:
                store.PARTIES.add(tx, party)
                store.PEOPLE.add(tx, person)
            secret, _ = parties.create_token(self.site, Actor(person.id, party.id, held), label=name)
            self._admitted[held] = {"Authorization": f"Bearer {secret}"}
        return self._admitted[held]


@pytest.fixture(scope="package")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    site = make_site(tmp_path_factory.mktemp("complete") / "var")
    upgrade(site)
    with TestClient(create_app(site)) as client:
        yield Town(site, client)
    site.db.close()


def agree(stage: Stage) -> None:
    """Put a consent under the bank's contract; how one comes about is its own room's affair."""
    contract, now = stage.made["sale"].contract, stage.site.now()
    terms = ConsentTerms(
        "a" * 64, contract.terms.consumer, contract.terms.policy.purposes[0], contract.terms.product_id,
        contract.terms.product.digest, Period(now, now + timedelta(days=30)),
    )  # fmt: skip
    consent = Consent(
        ConsentId("consent-1"), terms, contract.id, contract.terms.operator, stage.people["operator"].person, "b" * 64,
        ConsentStatus.GIVEN, now,
    )  # fmt: skip
    with stage.site.db.transaction() as tx:
        CONSENTS.add(tx, consent)


@pytest.fixture(scope="package")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, dict[str, str]]]:
    """Give a town in which the story was played up to the signed contract, and one object of each kind."""
    home = tmp_path_factory.mktemp("lived-in") / "var"
    site = make_site(home, is_demo=True)
    upgrade(site)
    city = make_city(home / "city", enterprises=2_000, people=40)
    stage = Stage(site=site, people=set_up_cast(site), say=lambda _line: None)
    supply.ingest(stage, city.enterprise_files, city.people_files)
    supply.register(stage)
    supply.authorize(stage)
    develop.apply_for_scenario(stage)
    develop.compute_for_real(stage)
    compute.propose_joint(
        site, stage.people["developer"], stage.made["entitlement"].id,
        compute.JointTerms(JointKind.COUNT, "统计", JointLearners.BOTH),
        compute.JointHalf("enterprise", UNIT, 10_000, "127.0.0.1:9101"),
    )  # fmt: skip
    develop.review(stage)
    market.sell(stage)
    agree(stage)
    with site.db.reading() as tx:
        names = {
            name: str(tx.execute(text(f"SELECT id FROM {table} LIMIT 1")).scalar_one())
            for name, table in TABLES.items()
        }
        names["code"] = str(tx.execute(text("SELECT code FROM registration WHERE code <> ''")).scalar_one())
    names |= {"number": "1", "relation": "enterprise"}
    with TestClient(create_app(site)) as client:
        yield Town(site, client), names
    site.db.close()
