"""The OpenAPI document of the gateway says what it does: every address is served, every answer has the form that is written."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from gongshu.delivery.api.document import gateway_document
from gongshu.delivery.rules import ACTIONS, NDI_CODES
from tests.gateways import DIFFERING, MATCHING, PRODUCT, START, UNKNOWN, World, call, headers, serving

DOCUMENT = gateway_document()
SCHEMAS = DOCUMENT["components"]["schemas"]
TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "var", lambda: START)
    made.publish()
    return made


def faults(value: Any, schema: dict[str, Any], place: str = "") -> list[str]:
    """Return where a value is not of a schema: types, what is required, what may stand there, patterns, lists of choices."""
    if "$ref" in schema:
        return faults(value, SCHEMAS[schema["$ref"].rpartition("/")[2]], place)
    if "anyOf" in schema:
        tried = [faults(value, one, place) for one in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{place}: not one of the choices"]
    if "type" in schema and not isinstance(value, TYPES[schema["type"]]):
        return [f"{place}: not {schema['type']}"]
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return [f"{place}: not of the pattern"]
    if isinstance(value, list):
        return [
            fault
            for number, one in enumerate(value)
            for fault in faults(one, schema.get("items", {}), f"{place}/{number}")
        ]
    if not isinstance(value, dict):
        return []
    known = schema.get("properties", {})
    found = [f"{place}/{name}: missing" for name in schema.get("required", ()) if name not in value]
    if known and "additionalProperties" not in schema:
        found += [f"{place}/{name}: not written" for name in value if name not in known]
    return found + [
        fault for name, one in value.items() for fault in faults(one, known.get(name, {}), f"{place}/{name}")
    ]


def written(path: str, method: str, answer: httpx.Response) -> dict[str, Any]:
    """Return the schema of an answer."""
    content = DOCUMENT["paths"][path][method]["responses"][str(answer.status_code)]["content"]
    return content[answer.headers["content-type"].partition(";")[0]]["schema"]


def test_answers_and_refusals_have_the_form_that_is_written(world):
    async def work() -> list[httpx.Response]:
        async with serving(world) as client:
            return [
                *[await call(client, f"r{place}", fields) for place, fields in enumerate((MATCHING, DIFFERING, UNKNOWN))],
                await call(client, "r0", UNKNOWN), await call(client, "!", {}), await call(client, "r9", authorization="x"),
                await call(client, "r9", x_purpose="marketing"),
            ]  # fmt: skip

    answers = asyncio.run(work())
    assert [answer.status_code for answer in answers] == [200, 200, 200, 409, 422, 401, 403]
    for answer in answers:
        assert faults(answer.json(), written("/v1/products/{product}/verify", "post", answer)) == []


def test_batches_and_tasks_have_the_form_that_is_written(world):
    items = [{"id": "a", "fields": MATCHING}, {"id": "!", "fields": MATCHING}, {"id": "b", "fields": {}}]

    async def work() -> list[tuple[str, str, httpx.Response]]:
        async with serving(world) as client:
            found = []
            for action in ("batch", "bulk"):
                given = headers(action)
                answer = await client.post(f"/v1/products/{PRODUCT}/{action}", json={"items": items}, headers=given)
                found.append((f"/v1/products/{{product}}/{action}", "post", answer))
            task = found[-1][2].json()["task"]
            found.append(("/v1/bulk/{task}", "get", await client.get(f"/v1/bulk/{task}", headers=headers("t"))))
            return found

    for path, method, answer in asyncio.run(work()):
        assert answer.status_code in {200, 202}
        schema = written(path, method, answer)
        said = answer.json()
        assert faults({name: said[name] for name in schema.get("properties", said)}, schema) == []


def test_every_address_that_is_written_is_served_and_the_kinds_are_all_there(world):
    async def work() -> dict[tuple[str, str], httpx.Response]:
        async with serving(world) as client:
            return {
                (path, method): await client.request(
                    method.upper(), path.format(product=PRODUCT, task="bulk-1"), headers=headers("r"), json={}
                )
                for path, operations in DOCUMENT["paths"].items()
                for method in operations
                if method != "parameters"
            }

    answers = asyncio.run(work())
    assert {path.rpartition("/")[2] for path, _ in answers} >= ACTIONS | {"batch", "bulk", "healthz", "readyz"}
    for (path, method), answer in answers.items():
        code = answer.json().get("code") if answer.content else ""
        assert code != "gateway-route-unknown", (method, path)
        if answer.status_code >= 400:
            assert faults(answer.json(), written(path, method, answer)) == []


def test_every_code_is_named():
    assert set(SCHEMAS["Problem"]["properties"]["code"]["examples"]) == set(NDI_CODES)
    assert faults({"type": 1}, SCHEMAS["Problem"])  # the check itself can fail
