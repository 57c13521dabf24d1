"""The application as it is wired, and one person for each role, each of an organisation of its own."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from gongshu.access.types import Actor, Role
from gongshu.base.ids import PartyId, PersonId
from gongshu.base.site import Site
from gongshu.parties import service as parties
from gongshu.parties import store
from gongshu.parties.types import Party, Person
from gongshu.server.asgi import create_app
from gongshu.server.migrate import upgrade
from gongshu.server.wiring import make_site

Headers = dict[str, str]
NOBODY: Headers = {}


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
