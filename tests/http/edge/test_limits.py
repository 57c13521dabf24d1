"""Bodies within limits, and the headers of every answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from gongshu.server import edge
from gongshu.server.asgi import create_app
from gongshu.server.wiring import make_site
from tests.http.edge.probe import SECRET_VALUE, Probe, assert_is_problem


def test_a_body_over_the_limit_is_refused(client: TestClient, probe: Probe, bearer: dict[str, str]) -> None:
    answer = client.post("/api/v1/probe/count", content=b"x" * (edge.BODY_BYTES_MAX + 1), headers=bearer)
    assert assert_is_problem(answer)["code"] == "body-too-large"
    at_the_limit = client.post("/api/v1/probe/count", content=b"x" * edge.BODY_BYTES_MAX, headers=bearer)
    assert at_the_limit.json() == {"done": 1}
    assert probe.done == 1


def test_a_body_is_counted_not_believed(client: TestClient, probe: Probe, bearer: dict[str, str]) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * 1_000_000

    answer = client.post("/api/v1/probe/count", content=chunks(), headers=bearer)
    assert assert_is_problem(answer)["code"] == "body-too-large"
    lied = client.post("/api/v1/probe/count", content=b"x", headers={**bearer, "Content-Length": "9" * 5000})
    assert assert_is_problem(lied)["code"] == "body-too-large"
    assert probe.done == 0


def test_strangers_upload_no_files(client: TestClient, probe: Probe) -> None:
    answer = client.post("/api/v1/probe/upload", files={"files": ("a.csv", b"x" * (edge.BODY_BYTES_MAX + 1))})
    assert assert_is_problem(answer)["code"] == "body-too-large"
    assert probe.done == 0


FORM, JSON = "application/x-www-form-urlencoded", "application/json"


@pytest.mark.parametrize(
    ("asked", "content"),
    [
        (("count%00", JSON), b""), (("count?a=%00", JSON), b""), (("count", FORM), b"a=b%00c"),
        (("count", JSON), b"a\0c"), (("field", JSON), b'{"amount": 1, "uses": {"a\\u0000": 1}}'),
    ],
)  # fmt: skip
def test_the_character_nul_is_refused_wherever_it_stands(
    client: TestClient, probe: Probe, bearer: dict[str, str], asked: tuple[str, str], content: bytes
) -> None:
    headers = {**bearer, "Content-Type": asked[1]}
    answer = client.post(f"/api/v1/probe/{asked[0]}", content=content, headers=headers)
    assert assert_is_problem(answer)["code"] == "nul-sent"
    assert probe.done == 0


def test_sql_that_looks_like_nul_is_none(client: TestClient, bearer: dict[str, str]) -> None:
    body = {"amount": 1, "uses": {"LIKE '%00%'": 1}}
    assert client.post("/api/v1/probe/field", json=body, headers=bearer).json() == 1


def test_a_connection_that_ends_early_changes_nothing(
    client: TestClient, probe: Probe, cookie: dict[str, str], csrf: str
) -> None:
    import anyio

    messages = [
        {"type": "http.request", "body": f"csrf_token={csrf}&".encode(), "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[object] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: object) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/probe/count", "raw_path": b"/api/v1/probe/count",
        "query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1", "client": None, "server": None,
        "headers": [(b"content-type", b"application/x-www-form-urlencoded"), (b"cookie", cookie["Cookie"].encode())],
    }  # fmt: skip
    anyio.run(client.app, scope, receive, send)
    assert (probe.done, sent) == (0, [])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/probe/who"), ("GET", "/api/v1/nowhere"), ("GET", "/api/v1/probe/crash/x"),
        ("POST", "/api/v1/probe/odd"), ("GET", "/api/v1/openapi.json"), ("GET", "/nowhere"),
        ("GET", "/static/nowhere.css"),
    ],
)  # fmt: skip
def test_every_answer_carries_the_security_headers(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert {name: answer.headers.get(name) for name in edge.SECURITY_HEADERS} == edge.SECURITY_HEADERS
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers.get("Cache-Control") == ("no-store" if path.startswith("/api/") else None)


def test_no_answer_lets_another_site_read_it(client: TestClient, cookie: dict[str, str]) -> None:
    answer = client.get("/api/v1/probe/who", headers={**cookie, "Origin": "https://elsewhere.example"})
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_a_home_that_is_gone_is_an_incident_not_a_leak(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = make_site(tmp_path / "var")  # without tables
    with TestClient(create_app(broken)) as client:
        answer = client.get("/api/v1/tokens", headers={"Authorization": f"Bearer {SECRET_VALUE}".encode()})  # type: ignore[dict-item]
    broken.db.close()
    assert assert_is_problem(answer)["code"] == "internal"
    assert "SELECT" not in answer.text + caplog.text
