"""The catalog over HTTP: upload, versions, quarantine, classification, uses."""

import io
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.testclient import TestClient

from gongshu.access.types import Actor, Role
from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.ids import PartyId, PersonId, ResourceId
from gongshu.base.paging import FIRST_PAGE
from gongshu.base.site import Site
from gongshu.catalog import api
from gongshu.catalog import service as catalog
from gongshu.catalog.types import Limits
from gongshu.server.problems import problem_response

ACTORS = {
    "bureau": Actor(PersonId("clerk"), PartyId("bureau"), frozenset({Role.SUPPLIER})),
    "rival": Actor(PersonId("rival"), PartyId("rival"), frozenset({Role.SUPPLIER})),
    "public": Actor(PersonId("nobody"), PartyId("nobody"), frozenset({Role.PUBLIC})),
    "auditor": Actor(PersonId("aud"), PartyId("office"), frozenset({Role.AUDITOR})),
}
DESCRIPTION = {
    "name": "enterprise", "title": "企业登记", "summary": "登记信息", "theme": "B0000", "update_cycle": "004", "legal_basis": "条例",
}  # fmt: skip
CSV = "企业名称,统一社会信用代码,类型\n甲公司,91350000MA0000000F,国有\n乙公司,11450000MA0000001H,国有\n坏行\n".encode()


@pytest.fixture
def client(sqlite_site: Site) -> Iterator[TestClient]:
    """Give a client of the room's routes; the header ``who`` says who calls, as the real edge does from a credential."""
    app = FastAPI()
    app.state.site = sqlite_site

    @app.middleware("http")
    async def identify(request: Request, call_next):
        request.state.actor = ACTORS[request.headers.get("who", "bureau")]
        return await call_next(request)

    app.include_router(api.router, prefix="/api/v1")
    app.add_exception_handler(Refused, lambda request, error: problem_response(request, error.reasons))
    with TestClient(app) as made:
        yield made


@pytest.fixture
def resource(client: TestClient) -> str:
    made = client.post("/api/v1/resources", json=DESCRIPTION)
    assert made.status_code == 201, made.text
    return f"/api/v1/resources/{made.json()['id']}"


def upload(client: TestClient, resource: str, *files: tuple[str, bytes], who: str = "bureau"):
    return client.post(f"{resource}/versions", files=[("files", file) for file in files], headers={"who": who})


def in_order(resource):
    """Return the resource with each set of uses, which has no order, sorted."""
    for column in resource["policy"]["columns"]:
        column["uses"].sort()
    return resource


def problem_codes(answer) -> list[str]:
    return [reason["code"] for reason in answer.json()["reasons"]]


def test_a_supplier_takes_a_resource_from_its_description_to_its_uses(client, resource):
    made = upload(client, resource, ("企业.csv", CSV))
    assert made.status_code == 201, made.text
    version = made.json()
    assert (version["rows_in"], version["rows_kept"], version["rows_quarantined"]) == (3, 2, 1)
    assert client.get(f"{resource}/versions/1").json() == version
    assert client.get(f"{resource}/versions").json()["rows"] == [version]
    (line,) = client.get(f"{resource}/versions/1/quarantine").json()["rows"]
    assert (line["source"], line["line"], line["code"], line["raw"]) == ("企业.csv", 4, "field-count", "坏行")
    grades = [{"column": p["column"], "meaning": p["meaning"], "grade": p["grade"]} for p in version["proposals"]]
    assert client.put(f"{resource}/classification", json={"grades": grades}).status_code == 200
    policy = client.get(f"{resource}/uses/default").json()
    assert policy["unit"] == ["统一社会信用代码"]
    done = client.put(f"{resource}/uses", json={"policy": policy})
    assert done.status_code == 200, done.text
    assert in_order(client.get(resource).json()) == in_order(done.json())
    (shown,) = client.get(f"{resource}/versions/1/quarantine", headers={"who": "public"}).json()["rows"]
    assert (shown["line"], shown["raw"]) == (4, "")


def test_others_do_not_learn_that_a_resource_exists_before_its_uses_are_set(client, resource):
    for address in ("", "/versions", "/versions/1", "/versions/1/quarantine", "/uses/default"):
        assert client.get(resource + address, headers={"who": "rival"}).status_code == 404
    assert upload(client, resource, ("a.csv", CSV), who="rival").status_code == 404
    assert client.get("/api/v1/resources", headers={"who": "public"}).json()["rows"] == []
    assert len(client.get("/api/v1/resources").json()["rows"]) == 1


def test_the_public_changes_nothing(client, resource):
    assert client.post("/api/v1/resources", json=DESCRIPTION, headers={"who": "public"}).status_code == 403
    assert problem_codes(client.post("/api/v1/resources", json=DESCRIPTION, headers={"who": "public"})) == [
        "permission-missing"
    ]


def test_every_refused_change_is_in_the_audit_log(client, resource, sqlite_site):
    upload(client, resource, ("a.csv", b""))
    client.put(f"{resource}/classification", json={"grades": []})
    client.put(f"{resource}/uses", json={"policy": {"columns": [], "unit": []}})
    client.post("/api/v1/resources", json=DESCRIPTION)
    entries = audit.list_entries(sqlite_site, ACTORS["auditor"], FIRST_PAGE).rows
    denied = [(entry.action, entry.reasons[0].code) for entry in entries if entry.outcome == "denied"]
    assert denied == [
        ("resource.create", "resource-name-taken"), ("resource.set_uses", "version-missing"), ("resource.classify", "version-missing"),
        ("resource.ingest", "file-empty"),
    ]  # fmt: skip


def test_uploads_are_kept_no_longer_than_they_are_read(client, resource, sqlite_site):
    assert upload(client, resource, ("../../etc/passwd", CSV), ("b.csv", CSV)).status_code == 201
    assert upload(client, resource, ("a.csv", b"x"), ("a.csv", b"y")).status_code == 422
    assert list((sqlite_site.home / "data" / ".staging").iterdir()) == []
    names = [source["name"] for source in client.get(f"{resource}/versions/1").json()["manifest"]["sources"]]
    assert names == ["passwd", "b.csv"]


def test_an_upload_larger_than_its_limit_is_refused_on_record(client, resource, sqlite_site):
    limits = Limits(upload_bytes_max=len(CSV) + 5)
    uploads = [("a.csv", io.BytesIO(CSV)), ("b.csv", io.BytesIO(CSV))]
    with pytest.raises(Refused) as caught:
        catalog.ingest_uploads(
            sqlite_site, ACTORS["bureau"], ResourceId(resource.rsplit("/", 1)[1]), uploads, limits=limits
        )
    assert [reason.code for reason in caught.value.reasons] == ["files-too-large"]
    assert audit.list_entries(sqlite_site, ACTORS["auditor"], FIRST_PAGE).rows[0].reasons[0].code == "files-too-large"
    assert list((sqlite_site.home / "data" / ".staging").iterdir()) == []


@pytest.mark.parametrize(("address", "status"), [
    ("/versions/0", 422), ("/versions/99", 404), ("/versions/9999999999999", 422), ("/versions/x", 422), ("/versions/1/quarantine?after=abc", 200),
    ("/versions/1/quarantine?after=99999999999999999999", 200), ("/versions?limit=0", 422),
])  # fmt: skip
def test_odd_addresses_are_answered_calmly(client, resource, address, status):
    upload(client, resource, ("a.csv", CSV))
    assert client.get(resource + address).status_code == status


def test_every_route_names_its_permission():
    for route in api.router.routes:
        assert route.openapi_extra["x-permission"]
