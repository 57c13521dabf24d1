"""Who is calling, and whether a form is forged."""

import pytest
from starlette.testclient import TestClient

from gongshu.base.site import Site
from gongshu.parties import service as parties
from gongshu.server import edge
from tests.http.edge.probe import PASSWORD, Probe


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
