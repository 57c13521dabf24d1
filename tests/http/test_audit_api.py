"""The log over HTTP: entries and proofs for auditors, checkpoint and tiles for standard tools."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.testclient import TestClient

from gongshu.access.types import SYSTEM, Actor, Role
from gongshu.audit import api
from gongshu.audit import service as audit
from gongshu.audit.rules import merkle, notes, tiles
from gongshu.base.decisions import NOT_FOUND, Denied, Permitted, Refused
from gongshu.base.digest import Ref
from gongshu.base.site import Site
from gongshu.base.tables import METADATA
from gongshu.server.problems import problem_response
from gongshu.server.wiring import make_site

ROLES = {
    "auditor": frozenset({Role.AUDITOR}),
    "agency": frozenset({Role.IMPLEMENTING_AGENCY}),
    "public": frozenset({Role.PUBLIC}),
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Give a site with three entries, the last a refusal; the first two are sealed."""
    made = make_site(tmp_path / "var")
    METADATA.create_all(made.db.engine)
    for number in range(3):
        decision = Denied((NOT_FOUND.because(kind="a", id="b"),)) if number == 2 else Permitted(None)
        with made.db.transaction() as tx:
            audit.record(
                tx, made, actor=SYSTEM, action="thing.make", subject=Ref("thing", f"thing-{number}", "d"), decision=decision,
                origins=(Ref("thing", f"thing-{number - 1}", "d"),) if number else (),
            )  # fmt: skip
        if number == 1:
            audit.integrate(made)
    yield made
    made.db.close()


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    """Give a client of the room's routes; the header ``role`` says who calls, as the real edge does from a credential."""
    app = FastAPI()
    app.state.site = site

    @app.middleware("http")
    async def identify(request: Request, call_next):
        roles = ROLES[request.headers.get("role", "public")]
        request.state.actor = Actor("person-1", "party-1", roles)
        return await call_next(request)

    async def refused(request: Request, error: Refused):
        return problem_response(request, error.reasons)

    app.add_exception_handler(Refused, refused)
    app.include_router(api.router, prefix="/api/v1")
    with TestClient(app) as opened:
        yield opened


def get(client, path, role="auditor", **query):
    return client.get(f"/api/v1{path}", headers={"role": role}, params=query)


def test_entries_are_listed_with_reasons_filters_and_pages(client):
    first = get(client, "/audit/entries", limit=2).json()
    assert [row["subject"]["id"] for row in first["rows"]] == ["thing-2", "thing-1"]
    assert first["rows"][0]["reasons"] == [{"code": "not-found", "facts": {"id": "b", "kind": "a"}}]
    rest = get(client, "/audit/entries", after=first["next_after"]).json()
    assert [row["subject"]["id"] for row in rest["rows"]] == ["thing-0"]
    denied = get(client, "/audit/entries", outcome="denied").json()["rows"]
    assert [row["outcome"] for row in denied] == ["denied"]
    assert get(client, "/audit/entries", subject_id="thing-1", action="thing.make", party="platform").json()["rows"]
    assert get(client, "/audit/entries", party="nobody").json()["rows"] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [({"limit": 0}, 422), ({"limit": 201}, 422), ({"outcome": "perhaps"}, 422), ({"after": "x"}, 422)],
)
def test_a_list_that_cannot_be_given_is_refused(client, query, status):
    assert get(client, "/audit/entries", **query).status_code == status


def test_one_entry_and_its_proof(client, site):
    row = get(client, "/audit/entries", subject_id="thing-1").json()["rows"][0]
    assert get(client, f"/audit/entries/{row['id']}").json() == row
    answer = get(client, f"/audit/entries/{row['id']}/proof")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert notes.read_proof(answer.text) == audit.prove(site, row["id"])
    assert get(client, "/audit/entries/entry-x").status_code == 404
    assert get(client, "/audit/entries/entry-x/proof").status_code == 404


def test_the_proof_of_an_entry_that_waits_for_its_checkpoint_comes_later(client):
    waiting = get(client, "/audit/entries").json()["rows"][0]
    answer = get(client, f"/audit/entries/{waiting['id']}/proof")
    assert (answer.status_code, answer.json()["code"]) == (409, "audit-entry-not-sealed")


def test_everybody_gets_checkpoint_and_key_that_fit(client):
    answer = get(client, "/audit/checkpoint", role="public").json()
    opened = notes.open_checkpoint(answer["note"], *notes.read_verifier_key(answer["public_key"]))
    assert (opened.size, opened.root.hex(), opened.origin) == (2, answer["root"], answer["origin"])
    assert answer["size"] == 2


def test_a_standard_client_follows_checkpoint_and_tiles(client):
    answer = get(client, "/tlog/checkpoint", role="public")
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == (
        "text/plain; charset=utf-8",
        "no-cache",
    )
    _, size, root, *_ = answer.text.split("\n")
    tile = get(client, "/tlog/tile/0/000.p/2", role="public")
    assert tile.headers["content-type"] == "application/octet-stream"
    assert "immutable" in tile.headers["cache-control"]
    hashes = tiles.hashes_of(tile.content)
    assert (size, merkle.root_of(hashes)) == ("2", notes.b64decode(root))
    bundle = get(client, "/tlog/tile/entries/000.p/2").content
    length = int.from_bytes(bundle[:2], "big")
    assert merkle.leaf_hash(bundle[2 : 2 + length]) == hashes[0]


@pytest.mark.parametrize(
    "path",
    ["/tlog/tile/0/000", "/tlog/tile/0/000.p/3", "/tlog/tile/1/000.p/1", "/tlog/tile/0/..%2f..%2fcheckpoint", "/tlog/tile/lock", "/tlog/lock", "/tlog/tile/..%2f..%2f..%2fgongshu.db"],
)  # fmt: skip
def test_nothing_but_the_log_is_served(client, path):
    assert get(client, path).status_code == 404


def test_traces_go_both_ways(client):
    back = get(client, "/audit/trace/back", role="agency", kind="thing", id="thing-1").json()
    assert [step["ref"]["id"] for step in back["steps"]] == ["thing-1", "thing-0"]
    assert back["edges"][0]["parent"]["id"] == "thing-0"
    forward = get(client, "/audit/trace/forward", kind="thing", id="thing-0").json()
    assert [step["ref"]["id"] for step in forward["steps"]] == ["thing-0", "thing-1"]
    assert get(client, "/audit/trace/back", kind="thing", id="x").json()["code"] == "audit-trace-not-found"
    assert get(client, "/audit/trace/sideways", kind="thing", id="thing-0").status_code == 422


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/audit/entries", {"auditor"}), ("/audit/entries/x", {"auditor"}), ("/audit/entries/x/proof", {"auditor"}),
        ("/audit/trace/back?kind=a&id=b", {"auditor", "agency"}), ("/tlog/tile/entries/000.p/2", {"auditor"}),
        ("/audit/checkpoint", {"auditor", "agency", "public"}), ("/tlog/checkpoint", {"auditor", "agency", "public"}),
        ("/tlog/tile/0/000.p/2", {"auditor", "agency", "public"}),
    ],
)  # fmt: skip
def test_each_route_admits_those_whose_permission_it_names(client, path, allowed):
    for role in ROLES:
        assert (client.get(f"/api/v1{path}", headers={"role": role}).status_code == 403) is (role not in allowed), role


def test_every_route_names_its_permission(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {path: operation["x-permission"] for path, methods in paths.items() for operation in methods.values()} == {
        "/api/v1/audit/entries": "audit:log:read",
        "/api/v1/audit/entries/{entry_id}": "audit:log:read",
        "/api/v1/audit/entries/{entry_id}/proof": "audit:log:read",
        "/api/v1/audit/checkpoint": "public",
        "/api/v1/audit/trace/{direction}": "audit:trace:read",
        "/api/v1/tlog/checkpoint": "public",
        "/api/v1/tlog/tile/{path}": "public",
    }
