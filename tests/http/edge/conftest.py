"""The real application with the probe's routes, and somebody who has signed in."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from gongshu.base.identifiers import credit_check_character
from gongshu.base.site import Site
from gongshu.base.tables import METADATA
from gongshu.parties import service as parties
from gongshu.server import edge
from gongshu.server.asgi import create_app
from gongshu.server.wiring import make_site
from tests.http.edge.probe import PASSWORD, Probe


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = make_site(tmp_path_factory.mktemp("edge") / "var")
    METADATA.create_all(made.db.engine)
    body = "11310000MB2F3019X"
    parties.bootstrap(
        made, name="Platform", credit_code=body + credit_check_character(body), region="310000", login="root",
        password=PASSWORD, person_name="Admin",
    )  # fmt: skip
    yield made
    made.db.close()


@pytest.fixture(scope="module")
def secret_and_csrf(site: Site) -> tuple[str, str]:
    secret, session = parties.sign_in(site, "root", PASSWORD)
    return secret, session.csrf


@pytest.fixture(scope="module")
def token(site: Site, secret_and_csrf: tuple[str, str]) -> str:
    resolved = parties.resolve_session(site, secret_and_csrf[0])
    assert resolved
    return parties.create_token(site, resolved[0], label="test")[0]


@pytest.fixture(scope="module")
def opened(site: Site) -> Iterator[tuple[TestClient, Probe]]:
    probe, app = Probe(), create_app(site)
    app.include_router(probe.router)
    app.add_api_route("/probe-page", probe.crash)
    # Nothing may come out of the application as an exception, so the client raises what does.
    with TestClient(app, raise_server_exceptions=True) as client:
        yield client, probe


@pytest.fixture
def probe(opened: tuple[TestClient, Probe]) -> Probe:
    opened[1].reset()
    return opened[1]


@pytest.fixture
def client(opened: tuple[TestClient, Probe], probe: Probe) -> TestClient:
    opened[0].cookies.clear()
    return opened[0]


@pytest.fixture
def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def cookie(secret_and_csrf: tuple[str, str]) -> dict[str, str]:
    return {"Cookie": f"{edge.SESSION_COOKIE}={secret_and_csrf[0]}"}


@pytest.fixture
def csrf(secret_and_csrf: tuple[str, str]) -> str:
    return secret_and_csrf[1]


@pytest.fixture
def repeated(bearer: dict[str, str], request: pytest.FixtureRequest) -> dict[str, str]:
    return {**bearer, "Idempotency-Key": request.node.name}
