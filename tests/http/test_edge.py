"""The edge: who is calling, forged forms, repeated creations, the shape of every refusal, crashes, limits, headers."""

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, File, Request, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlalchemy import text
from starlette.responses import Response
from starlette.testclient import TestClient

from gongshu.base.decisions import Kind, Refused, rule
from gongshu.base.identifiers import credit_check_character
from gongshu.base.site import Site
from gongshu.base.tables import METADATA
from gongshu.parties import service as parties
from gongshu.server import edge
from gongshu.server.asgi import create_app
from gongshu.server.wiring import make_site

SECRET_VALUE = "赵四-110101199003074258"
PASSWORD = "correct-horse-1"
WAIT_SECONDS = 20

BUSY = rule("probe-busy", Kind.UNAVAILABLE, zh="忙", en="Busy", fix_zh="重试", fix_en="Try again")
FULL = rule("probe-full", Kind.LIMIT_EXCEEDED, zh="满", en="Full", fix_zh="等待", fix_en="Wait")
ODD = rule("probe-odd", Kind.CONFLICT, zh="{n}不行", en="Not {n}", fix_zh="换", fix_en="Change it", law="26号 art.1")
ABSENT = rule("probe-absent", Kind.NOT_FOUND, zh="无", en="None", fix_zh="查", fix_en="Look")


class Probe:
    """Routes that do one thing each, beside the real ones, and a count of what was really done."""

    def __init__(self) -> None:
        self.done = 0
        self.entered = threading.Event()
        self.released = threading.Event()
        self.router = APIRouter(prefix="/api/v1/probe")
        for method, path, run in (
            ("GET", "/who", self.who), ("POST", "/count", self.count), ("POST", "/secret", self.secret),
            ("POST", "/field", self.field), ("POST", "/busy", self.busy), ("POST", "/full", self.full),
            ("POST", "/odd", self.odd), ("POST", "/crash", self.crash), ("GET", "/crash/{name}", self.crash),
            ("POST", "/wait", self.wait), ("POST", "/upload", self.upload), ("GET", "/half", self.half),
            ("POST", "/empty", self.empty),
        ):  # fmt: skip
            self.router.add_api_route(path, run, methods=[method])

    def who(self, request: Request) -> dict[str, Any]:
        actor = request.state.actor
        return {"person": actor.person, "roles": sorted(actor.roles), "by_cookie": request.state.by_cookie}

    def count(self) -> dict[str, int]:
        self.done += 1
        return {"done": self.done}

    def secret(self, response: Response) -> dict[str, str]:
        self.done += 1
        response.headers["Cache-Control"] = "no-store"
        return {"secret": SECRET_VALUE}

    def empty(self) -> Response:
        self.done += 1
        return Response(status_code=204)

    def field(self, body: "Body") -> int:
        return body.amount

    def busy(self) -> None:
        self.done += 1
        raise Refused((BUSY.because(),))

    def full(self) -> None:
        self.done += 1
        raise Refused((FULL.because(),))

    def odd(self) -> None:
        self.done += 1
        raise Refused((ABSENT.because(), ODD.because(n=7)))

    def crash(self, name: str = "") -> None:
        self.done += 1
        raise ValueError(f"{SECRET_VALUE} {name}")

    def wait(self) -> dict[str, int]:
        self.done += 1
        self.entered.set()
        assert self.released.wait(WAIT_SECONDS)
        return {"done": self.done}

    def upload(self, files: Annotated[list[UploadFile], File()]) -> list[int]:
        self.done += 1
        return [len(file.file.read()) for file in files]

    def half(self) -> StreamingResponse:
        def rows() -> Iterator[bytes]:
            yield b"first"
            raise ValueError(SECRET_VALUE)

        return StreamingResponse(rows())


class Body(BaseModel):
    amount: int
    uses: dict[str, int] = {}


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


@pytest.fixture
def probe() -> Probe:
    return Probe()


@pytest.fixture
def client(site: Site, probe: Probe) -> Iterator[TestClient]:
    app = create_app(site)
    app.include_router(probe.router)
    # Nothing may come out of the application as an exception, so the client raises what does.
    with TestClient(app, raise_server_exceptions=True) as opened:
        yield opened


@pytest.fixture
def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def cookie(secret_and_csrf: tuple[str, str]) -> dict[str, str]:
    return {"Cookie": f"{edge.SESSION_COOKIE}={secret_and_csrf[0]}"}


@pytest.fixture
def csrf(secret_and_csrf: tuple[str, str]) -> str:
    return secret_and_csrf[1]


# ------------------------------------------------------------------------------------------------- who is calling


def who(client: TestClient, headers: dict[str, str]) -> str:
    answer = client.get("/api/v1/probe/who", headers=headers)
    assert answer.status_code == 200
    return str(answer.json()["person"])


def test_a_bearer_token_says_who_is_calling(client: TestClient, bearer: dict[str, str]) -> None:
    assert who(client, bearer).startswith("person-")
    assert who(client, {"Authorization": bearer["Authorization"].replace("Bearer", "bearer")}).startswith("person-")


def test_a_session_cookie_says_who_is_calling(client: TestClient, cookie: dict[str, str]) -> None:
    assert who(client, cookie).startswith("person-")


@pytest.mark.parametrize("other", ["a/b=1", 'settings={"a": [1, 2]}', "expires=x; Path=/", "alone", "é=ü"])
def test_cookies_of_others_do_not_hide_the_session(client: TestClient, cookie: dict[str, str], other: str) -> None:
    headers = {"Cookie": f"{other}; {cookie['Cookie']}".encode()}
    assert who(client, headers).startswith("person-")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Authorization": "Bearer"}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic cm9vdDpyb290"},
        {"Authorization": "Bearer é".encode()}, {"Cookie": f"{edge.SESSION_COOKIE}=nonsense"},
        {"Cookie": f"{edge.SESSION_COOKIE}="}, {"Cookie": "a/b=1; ;=;=="}, {"Cookie": b'"\\377"'},
    ],
)  # fmt: skip
def test_anybody_else_is_the_public(client: TestClient, headers: dict[str, str]) -> None:
    assert who(client, headers) == "anonymous"


def test_a_wrong_token_is_not_rescued_by_a_cookie(client: TestClient, cookie: dict[str, str]) -> None:
    assert who(client, {**cookie, "Authorization": "Bearer nonsense"}) == "anonymous"


def test_the_public_is_asked_to_sign_in_where_a_permission_is_missing(client: TestClient) -> None:
    answer = client.get("/api/v1/audit/entries")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["code"] == "sign-in-needed"


# --------------------------------------------------------------------------------------------------------- forgery


@pytest.mark.parametrize("path", ["count", "field", "upload"])
@pytest.mark.parametrize("forged", [{}, {"X-CSRF-Token": "nonsense"}, {"X-CSRF-Token": ""}])
def test_a_change_by_cookie_needs_the_sessions_token(
    client: TestClient, probe: Probe, cookie: dict[str, str], path: str, forged: dict[str, str]
) -> None:
    answer = client.post(f"/api/v1/probe/{path}", headers={**cookie, **forged})
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf-token-missing")
    assert probe.done == 0


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
def test_every_method_that_changes_is_guarded(client: TestClient, cookie: dict[str, str], method: str) -> None:
    answer = client.request(method, "/api/v1/tokens/unknown", headers=cookie)
    assert answer.json()["code"] == "csrf-token-missing"


def test_the_token_may_come_as_a_header(client: TestClient, cookie: dict[str, str], csrf: str) -> None:
    assert client.post("/api/v1/probe/count", headers={**cookie, "X-CSRF-Token": csrf}).json() == {"done": 1}


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=utf-8"]
)
def test_the_token_may_come_as_a_form_field(client: TestClient, cookie: dict[str, str], csrf: str, kind: str) -> None:
    body = f"a=1&csrf_token={csrf}".encode()
    answer = client.post("/api/v1/probe/count", content=body, headers={**cookie, "Content-Type": kind})
    assert answer.json() == {"done": 1}


def test_another_sessions_token_is_refused(client: TestClient, site: Site, cookie: dict[str, str]) -> None:
    _, other = parties.sign_in(site, "root", PASSWORD)
    answer = client.post("/api/v1/probe/count", headers={**cookie, "X-CSRF-Token": other.csrf})
    assert answer.json()["code"] == "csrf-token-missing"


def test_a_form_with_files_carries_the_token_in_the_header(
    client: TestClient, probe: Probe, cookie: dict[str, str], csrf: str
) -> None:
    files = {"files": ("a.csv", b"12345")}
    refused = client.post("/api/v1/probe/upload", files=files, data={"csrf_token": csrf}, headers=cookie)
    assert refused.json()["code"] == "csrf-token-missing"
    assert probe.done == 0
    done = client.post("/api/v1/probe/upload", files=files, headers={**cookie, "X-CSRF-Token": csrf})
    assert done.json() == [5]


def test_a_form_of_endless_fields_is_refused(client: TestClient, cookie: dict[str, str]) -> None:
    answer = client.post("/api/v1/probe/count", data={str(n): "" for n in range(2000)}, headers=cookie)
    assert (answer.status_code, answer.json()["code"]) == (422, "body-unreadable")


def test_a_form_sent_from_another_site_is_refused(client: TestClient, probe: Probe, bearer: dict[str, str]) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert client.post("/api/v1/probe/count", headers=foreign).json()["code"] == "csrf-token-missing"
    assert probe.done == 0
    assert client.post("/api/v1/probe/count", headers={**foreign, **bearer}).status_code == 200


def test_reading_needs_no_token(client: TestClient, cookie: dict[str, str]) -> None:
    assert client.get("/api/v1/tokens", headers=cookie).status_code == 200


# ---------------------------------------------------------------------------------------------- repeated creations


@pytest.fixture
def repeated(bearer: dict[str, str], request: pytest.FixtureRequest) -> dict[str, str]:
    return {**bearer, "Idempotency-Key": request.node.name}


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


# ------------------------------------------------------------------------------------------- the shape of refusals


def assert_is_problem(answer: Any) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail", "instance", "code", "reasons"}
    assert problem["status"] == answer.status_code
    assert problem["type"].endswith(f"#{problem['code']}")
    assert problem["reasons"]
    assert problem["code"] in {reason["code"] for reason in problem["reasons"]}
    for reason in problem["reasons"]:
        assert set(reason) == {"code", "kind", "law", "what", "fix", "facts"}
        assert all(reason[part][language] for part in ("what", "fix") for language in ("zh", "en"))
    return problem


def test_every_refusal_is_a_problem_with_all_its_reasons(client: TestClient, bearer: dict[str, str]) -> None:
    problem = assert_is_problem(client.post("/api/v1/probe/odd", headers=bearer))
    assert [reason["code"] for reason in problem["reasons"]] == ["probe-absent", "probe-odd"]
    assert problem["reasons"][1]["what"] == {"zh": "7不行", "en": "Not 7"}
    assert problem["reasons"][1]["law"] == "26号 art.1"
    assert (problem["code"], problem["status"]) == ("probe-absent", 404)


@pytest.mark.parametrize(
    ("asked", "content", "expected"),
    [
        ("GET /api/v1/nowhere", b"", (404, "route-unknown")),
        ("PUT /api/v1/probe/count", b"", (404, "route-unknown")),
        ("GET /nowhere", b"", (404, "route-unknown")),
        ("GET /static/nowhere.js", b"", (404, "route-unknown")),
        ("GET /static/../../server/wiring.py", b"", (404, "route-unknown")),
        ("POST /api/v1/probe/field", b"{", (422, "field-invalid")),
        ("POST /api/v1/probe/field", b'{"amount": "\xff"}', (422, "body-unreadable")),
        ("POST /api/v1/probe/field", b"[" * 100_000, (422, "body-unreadable")),
        ("GET /api/v1/probe/crash/x", b"", (500, "internal")),
    ],
)
def test_refusals_of_the_edge_are_problems(
    client: TestClient, bearer: dict[str, str], asked: str, content: bytes, expected: tuple[int, str]
) -> None:
    answer = client.request(*asked.split(), content=content, headers={**bearer, "Content-Type": "application/json"})
    problem = assert_is_problem(answer)
    assert (problem["status"], problem["code"]) == expected


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount": SECRET_VALUE}, "body.amount"), ({"amount": 1, "uses": {SECRET_VALUE: "x"}}, "body.uses.*"),
        ({"amount": 1, "uses": [SECRET_VALUE]}, "body.uses"), ([SECRET_VALUE], "body"), (SECRET_VALUE, "body"),
        ({SECRET_VALUE: 1}, "body.amount"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_and_what_was_sent_is_not_repeated(
    client: TestClient, bearer: dict[str, str], body: object, field: str
) -> None:
    answer = client.post("/api/v1/probe/field", json=body, headers=bearer)
    problem = assert_is_problem(answer)
    assert (problem["status"], problem["code"]) == (422, "field-invalid")
    assert [reason["facts"]["field"] for reason in problem["reasons"]] == [field]
    assert SECRET_VALUE not in json.dumps(problem, ensure_ascii=False)


def test_every_wrong_field_is_named(client: TestClient, bearer: dict[str, str]) -> None:
    answer = client.post("/api/v1/tokens", json={"days": SECRET_VALUE}, headers=bearer)
    fields = {reason["facts"]["field"] for reason in assert_is_problem(answer)["reasons"]}
    assert fields == {"body.label", "body.days"}


def test_people_get_a_page_instead(client: TestClient) -> None:
    answer = client.get("/nowhere", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


# ---------------------------------------------------------------------------------------------------------- crashes


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a_crash_gives_a_number_and_nothing_else(
    client: TestClient, bearer: dict[str, str], caplog: pytest.LogCaptureFixture, accept: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        path = f"/api/v1/probe/crash/{SECRET_VALUE}%0Aforged line"
        answer = client.get(path, headers={**bearer, "Accept": accept})
    incident = answer.headers["X-Incident"]
    problem = assert_is_problem(answer)
    assert (problem["status"], problem["code"]) == (500, "internal")
    assert problem["reasons"][0]["facts"] == {"incident": incident}
    del problem["instance"]
    assert SECRET_VALUE not in json.dumps(problem, ensure_ascii=False)
    written = [record for record in caplog.records if record.name.startswith(("gongshu", "uvicorn"))]
    (line,) = [record.getMessage() for record in written]
    assert f"incident {incident}: ValueError on GET /api/v1/probe/crash/{{name}}" in line
    assert "test_edge:" in line
    assert not [record for record in written if record.exc_info]
    assert SECRET_VALUE not in caplog.text
    assert "forged" not in line


def test_a_crash_in_a_page_shows_its_number(
    client: TestClient, probe: Probe, cookie: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    client.app.add_api_route("/broken-page", probe.crash)  # type: ignore[attr-defined]
    answer = client.get("/broken-page", headers={**cookie, "Accept": "text/html"})
    assert answer.status_code == 500
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["X-Incident"] in answer.text
    assert SECRET_VALUE not in answer.text + caplog.text


def test_an_answer_that_breaks_off_breaks_the_connection(
    client: TestClient, bearer: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(edge.AnswerBroken) as broken:
        client.get("/api/v1/probe/half", headers=bearer)
    assert str(broken.value) in caplog.text
    assert SECRET_VALUE not in caplog.text
    assert broken.value.__context__ is None


# ----------------------------------------------------------------------------------------------------------- limits


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


# ---------------------------------------------------------------------------------------------------------- headers


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
