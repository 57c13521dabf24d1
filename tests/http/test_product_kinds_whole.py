"""Each kind from its definition over HTTP to the charge: defined, listed, contracted, published, called, counted."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from gongshu.base.ids import JobId, ReleaseId
from gongshu.compute import store as compute_store
from gongshu.compute.types import JobKind, OutputFile
from gongshu.delivery import service as delivery
from gongshu.delivery.api.application import GatewayApp
from gongshu.egress import service as egress
from gongshu.egress import store as egress_store
from gongshu.egress.adapters import files
from gongshu.egress.types import ReviewKind
from gongshu.metering import service as metering
from gongshu.parties import service as parties
from gongshu.parties import store as parties_store
from gongshu.parties.types import Person
from gongshu.products import service as products
from gongshu.server.asgi import create_app
from tests import samples, world
from tests.http.test_delivery_answers import linear
from tests.world import OPERATOR

ROWS = "SELECT '2026-0' || (1 + i) AS month, '地区' || i AS region, 100 + i AS value FROM range(9) t(i)"


@pytest.fixture
def release(sqlite_site):
    """A released table."""
    world.settle(sqlite_site)
    job = world.run_job(sqlite_site, ROWS)
    output = egress.submit_for_review(
        sqlite_site, world.DEVELOPER, egress.collect(sqlite_site, job.id).id, "按区域统计，供普惠金融使用"
    )
    world.cast(sqlite_site, output, world.SECURITY, ReviewKind.SECURITY)
    world.cast(sqlite_site, output, world.CONFORMITY, ReviewKind.CONFORMITY)
    return egress.release(sqlite_site, OPERATOR, output.id)


@pytest.fixture
def define(sqlite_site) -> Iterator[Any]:
    """Give a function that posts a product as the operator."""
    with sqlite_site.db.transaction() as tx:
        parties_store.PEOPLE.add(
            tx, Person(OPERATOR.person, OPERATOR.party, OPERATOR.name, OPERATOR.person, OPERATOR.roles)
        )
    token = parties.create_token(sqlite_site, OPERATOR, label="test")[0]
    with TestClient(create_app(sqlite_site)) as client:

        def post(release_id: str, kind: str, definition: dict, *, expect: int = 201) -> Any:
            body = {
                "release_id": release_id,
                "title": "产品",
                "summary": "说明",
                "kind": kind,
                "definition": definition,
            }
            answer = client.post("/api/v1/products", json=body, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == expect, answer.text
            return answer.json()

        yield post


def call(site, product_id: str, method: str, action: str, **asked: Any) -> httpx.Response:
    """Sell the product to the bank and make one call through a gateway; return its answer once usage was collected."""
    listing = products.list_product(site, OPERATOR, product_id, tiers=samples.listing().tiers, charges_no_record=False)
    contract = world.contracted(site, listing)
    secret, _ = delivery.create_key(site, world.BANK, contract.id)
    delivery.publish_snapshot(site)
    headers = {"authorization": f"Bearer {secret}", "x-request-id": "r1", "x-purpose": samples.PURPOSE}

    async def run() -> httpx.Response:
        app = GatewayApp(lambda: delivery.Gateway(site.home, "g1", site.clock, site.keys))
        app.open()
        with contextlib.suppress(asyncio.CancelledError):
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway") as client:
                answer = await client.request(method, f"/v1/products/{product_id}/{action}", headers=headers, **asked)
        await app.close()
        return answer

    answer = asyncio.run(run())
    metering.collect(site)
    (count,) = metering.usage_of(site, contract.id, contract.terms.policy.period)
    assert (count.charged, count.by_result) == (1, {"served": 1})
    return answer


def test_a_query_from_definition_to_charge(sqlite_site, release, define):
    query = {
        "statement": "SELECT region, value FROM released WHERE value > $least ORDER BY value",
        "parameters": [{"name": "least", "data_type": "integer", "value": "100", "characters_max": 9}],
    }
    made = define(release.id, "query", {"query": query})
    assert [column["name"] for column in made["definition"]["query"]["outputs"]] == ["region", "value"]
    answer = call(sqlite_site, made["id"], "POST", "query", json={"least": "107"})
    assert answer.json()["content"]["rows"] == [["地区8", 108]]


def test_an_index_from_definition_to_charge(sqlite_site, release, define):
    series = {"period": "month", "value": "value", "frequency": "month", "unit": "点"}
    made = define(release.id, "index", {"series": series})
    answer = call(sqlite_site, made["id"], "POST", "series", json={"from": "2026-09"})
    assert answer.json()["content"]["points"] == [["2026-09", 108.0]]


def test_a_package_from_definition_to_charge(sqlite_site, release, define):
    made = define(release.id, "table", {})
    answer = call(sqlite_site, made["id"], "GET", "download?format=csv")
    assert len(answer.text.splitlines()) == 10


def test_a_report_from_definition_to_charge(sqlite_site, release, define):
    section = {"heading": "概况", "text": "共 {{count}} 行", "columns": ["region"], "rows_max": 5}
    report = {"title": "报告", "period": "2026", "source": "登记", "sections": [section]}
    made = define(release.id, "report", {"report": report})
    assert call(sqlite_site, made["id"], "GET", "report?format=pdf").content.startswith(b"%PDF")


def released_model(site) -> ReleaseId:
    """Put the release of a program's model in place."""
    folder = site.home / "releases" / "release-model"
    path = linear(folder / "model.onnx")
    file = OutputFile("model.onnx", files.sha256_of(path), path.stat().st_size, 0)
    job = samples.job(
        JobKind.PYTHON, id=JobId("job-model"), files=(file,), plan=samples.plan(JobKind.PYTHON, verification=None)
    )
    with site.db.transaction() as tx:
        compute_store.JOBS.add(tx, job)
        template = egress_store.RELEASES.all(tx)[0]
        egress_store.RELEASES.add(
            tx, replace(template, id=ReleaseId("release-model"), job=job.ref, files=(file,), output=replace(template.output, id="output-model")),
        )  # fmt: skip
    return ReleaseId("release-model")


def test_a_model_from_definition_to_charge(sqlite_site, release, define):
    release_id = released_model(sqlite_site)
    inputs = [{"name": "age", "tensor": "X", "place": 0}, {"name": "income", "tensor": "X", "place": 1}]
    made = define(release_id, "model", {"model": {"inputs": inputs}})
    assert made["definition"]["model"]["outputs"] == ["score"]
    answer = call(sqlite_site, made["id"], "POST", "predict", json={"age": "1", "income": "1"})
    assert answer.json()["content"] == {"outputs": {"score": 1.5}}


@pytest.mark.parametrize(
    ("kind", "definition", "code"),
    [
        ("query", {}, "product-definition-missing"),
        ("index", {}, "product-definition-missing"),
        ("report", {"query": {"statement": "SELECT 1"}}, "product-definition-missing"),
        ("model", {}, "product-kind-outside"),
        ("query", {"query": {"statement": "SELECT * FROM read_csv('/etc/passwd')"}}, "construct-refused"),
        (
            "index",
            {"series": {"period": "x", "value": "region", "frequency": "day", "unit": ""}},
            "released-column-unknown",
        ),
    ],
)
def test_a_definition_that_does_not_fit_is_refused_with_its_reason(release, define, kind, definition, code):
    statuses = {"product-kind-outside": 409}
    refused = define(release.id, kind, definition, expect=statuses.get(code, 422))
    assert code in [reason["code"] for reason in refused["reasons"]]
