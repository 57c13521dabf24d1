"""A creation that is repeated is done once."""

import threading
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from gongshu.base.site import Site
from tests.http.edge.probe import SECRET_VALUE, WAIT_SECONDS, Probe


def test_the_same_key_gives_the_same_answer(client: TestClient, probe: Probe, repeated: dict[str, str]) -> None:
    first = client.post("/api/v1/probe/count", headers=repeated)
    second = client.post("/api/v1/probe/count", headers=repeated)
    assert (first.status_code, first.json()) == (second.status_code, second.json()) == (200, {"done": 1})
    assert second.headers["Content-Type"] == first.headers["Content-Type"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert probe.done == 1


def test_an_answer_without_a_body_is_repeated_too(client: TestClient, probe: Probe, repeated: dict[str, str]) -> None:
    answers = [client.post("/api/v1/probe/empty", headers=repeated) for _ in range(2)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b"")] * 2
    assert probe.done == 1


def test_a_refusal_is_repeated_too(client: TestClient, probe: Probe, repeated: dict[str, str]) -> None:
    answers = [client.post("/api/v1/probe/odd", headers=repeated) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Content-Type"] == "application/problem+json"
    assert probe.done == 1


@pytest.mark.parametrize("change", [{"content": b"{}"}, {"params": {"a": "1"}}])
def test_a_key_is_for_one_request(
    client: TestClient, probe: Probe, repeated: dict[str, str], change: dict[str, Any]
) -> None:
    client.post("/api/v1/probe/count", headers=repeated)
    answer = client.post("/api/v1/probe/count", headers=repeated, **change)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency-key-reused")
    assert probe.done == 1


def test_keys_are_kept_apart_by_path_and_by_their_last_letter(
    client: TestClient, probe: Probe, repeated: dict[str, str]
) -> None:
    key = "k" * 400
    client.post("/api/v1/probe/count", headers={**repeated, "Idempotency-Key": key + "a"})
    client.post("/api/v1/probe/count", headers={**repeated, "Idempotency-Key": key + "b"})
    client.post("/api/v1/probe/empty", headers={**repeated, "Idempotency-Key": key + "a"})
    assert probe.done == 3


def test_strangers_share_no_memory(client: TestClient, probe: Probe) -> None:
    for _ in range(2):
        client.post("/api/v1/probe/count", headers={"Idempotency-Key": "stranger"})
    assert probe.done == 2


def test_a_request_that_still_runs_is_not_run_again(client: TestClient, probe: Probe, repeated: dict[str, str]) -> None:
    answers: list[Any] = []
    runs = threading.Thread(target=lambda: answers.append(client.post("/api/v1/probe/wait", headers=repeated)))
    runs.start()
    try:
        assert probe.entered.wait(WAIT_SECONDS)
        meanwhile = client.post("/api/v1/probe/wait", headers=repeated)
    finally:
        probe.released.set()
        runs.join()
    assert (meanwhile.status_code, meanwhile.json()["code"]) == (409, "request-still-running")
    assert answers[0].json() == {"done": 1}
    assert client.post("/api/v1/probe/wait", headers=repeated).json() == {"done": 1}
    assert probe.done == 1


def test_a_secret_is_shown_once_and_kept_nowhere(
    client: TestClient, site: Site, probe: Probe, repeated: dict[str, str]
) -> None:
    assert client.post("/api/v1/probe/secret", headers=repeated).json() == {"secret": SECRET_VALUE}
    again = client.post("/api/v1/probe/secret", headers=repeated)
    assert (again.status_code, again.json()["code"]) == (409, "secret-shown-once")
    assert probe.done == 1
    with site.db.reading() as tx:
        bodies = [bytes(row[0]) for row in tx.execute(text("SELECT body FROM idempotency_key"))]
    assert not [body for body in bodies if SECRET_VALUE in body.decode()]


def test_the_real_token_route_keeps_no_secret(client: TestClient, site: Site, repeated: dict[str, str]) -> None:
    made = client.post("/api/v1/tokens", json={"label": "kept?"}, headers=repeated)
    assert made.status_code == 201
    assert (
        client.post("/api/v1/tokens", json={"label": "kept?"}, headers=repeated).json()["code"] == "secret-shown-once"
    )
    with site.db.reading() as tx:
        bodies = [bytes(row[0]) for row in tx.execute(text("SELECT body FROM idempotency_key"))]
    assert not [body for body in bodies if made.json()["secret"].encode() in body]


@pytest.mark.parametrize(("path", "status"), [("busy", 503), ("full", 429), ("crash", 500)])
def test_what_may_be_tried_again_is_not_kept(
    client: TestClient, probe: Probe, repeated: dict[str, str], path: str, status: int
) -> None:
    answers = [client.post(f"/api/v1/probe/{path}", headers=repeated) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [status, status]
    assert probe.done == 2


def test_an_upload_is_repeatable_though_its_boundary_differs(
    client: TestClient, probe: Probe, repeated: dict[str, str]
) -> None:
    files = {"files": ("a.csv", b"x" * 3_000_000)}
    answers = [client.post("/api/v1/probe/upload", files=files, headers=repeated) for _ in range(2)]
    assert answers[0].request.headers["Content-Type"] != answers[1].request.headers["Content-Type"]
    assert [answer.json() for answer in answers] == [[3_000_000]] * 2
    assert probe.done == 1
    other = client.post("/api/v1/probe/upload", files={"files": ("a.csv", b"y" * 3_000_000)}, headers=repeated)
    assert other.json()["code"] == "idempotency-key-reused"
