"""Every refusal has one shape and repeats nothing that was sent; a crash gives a number and nothing else."""

import json
import logging

import pytest
from starlette.testclient import TestClient

from gongshu.base.decisions import Kind, Rule, Text
from gongshu.server import edge, problems
from tests.http.edge.probe import SECRET_VALUE, assert_is_problem


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
    assert "probe:" in line
    assert not [record for record in written if record.exc_info]
    assert SECRET_VALUE not in caplog.text
    assert "forged" not in line


def test_a_crash_in_a_page_shows_its_number(
    client: TestClient, cookie: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/probe-page", headers={**cookie, "Accept": "text/html"})
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


def test_every_kind_of_refusal_has_a_weight_a_status_and_an_exit_code() -> None:
    assert set(problems.STATUS_OF) == set(problems.EXIT_CODE_OF) == set(Kind)
    assert len(set(problems.EXIT_CODE_OF.values())) == len(Kind)
    assert {problems.leading_kind((rule_of(kind).because(),)) for kind in Kind} == set(Kind)
    both = (rule_of(Kind.INVALID).because(), rule_of(Kind.FORBIDDEN).because())
    assert problems.leading_kind(both) is Kind.FORBIDDEN
    assert problems.problem(both, instance="/")["status"] == 403


def rule_of(kind: Kind) -> Rule:
    return Rule(f"probe-{kind}", kind, Text("甲", "A"), Text("乙", "B"))
