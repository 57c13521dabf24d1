"""The gate, jobs and synthetic rows through the API as it is wired."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from gongshu.access.types import Actor, Role
from gongshu.audit import service as audit
from gongshu.base.ids import JobId
from gongshu.base.paging import PageRequest
from gongshu.base.site import Site
from gongshu.compute import cli
from gongshu.compute import service as compute
from gongshu.parties import service as parties
from gongshu.parties import store as parties_store
from gongshu.parties.types import Party, Person
from gongshu.server.asgi import create_app
from tests.governed_site import AUDITOR, DEVELOPER, ENTITLEMENT, OPERATOR, STRANGER, settle

Ask = Callable[..., Any]
BASE = f"/entitlements/{ENTITLEMENT}"
BY_REGION = "SELECT 地区 AS region, count(*) AS n FROM enterprise GROUP BY 地区 ORDER BY region"


@pytest.fixture
def ask(sqlite_site: Site) -> Iterator[Ask]:
    """Give a function that sends a request as somebody and checks the status of the answer."""
    site, tokens = sqlite_site, {}
    settle(site)
    with site.db.transaction() as tx:
        for number, actor in enumerate((DEVELOPER, STRANGER, AUDITOR, OPERATOR)):
            parties_store.PARTIES.add(tx, Party(actor.party, actor.party, f"{number:018d}", frozenset(Role), "350100"))
            parties_store.PEOPLE.add(tx, Person(actor.person, actor.party, actor.name, actor.person, actor.roles))
    for actor in (DEVELOPER, STRANGER, AUDITOR, OPERATOR):
        tokens[actor.person] = parties.create_token(site, actor, label="test")[0]
    with TestClient(create_app(site)) as client:

        def send(actor: Actor, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
            headers = {"Authorization": f"Bearer {tokens[actor.person]}"}
            answer = client.request(method, f"/api/v1{path}", json=body, headers=headers)
            assert answer.status_code == expect, answer.text
            return answer.json()

        yield send


def test_a_developer_explains_tries_submits_and_looks(ask: Ask, sqlite_site: Site) -> None:
    found = ask(DEVELOPER, "POST", f"{BASE}/sql/explain", {"sql": BY_REGION})
    assert found["permitted"]
    assert found["query"]["outputs"] == ["region", "n"]
    tried = ask(DEVELOPER, "POST", f"{BASE}/sql/try", {"sql": BY_REGION})
    assert tried["columns"] == ["region", "n"]
    job = ask(DEVELOPER, "POST", f"{BASE}/jobs/sql", {"title": "分布", "sql": BY_REGION}, expect=201)
    assert job["status"] == "submitted"
    compute.run_job(sqlite_site, JobId(job["id"]))
    done = ask(AUDITOR, "GET", f"/jobs/{job['id']}")
    assert (done["status"], done["report"]["rows"]) == ("succeeded", 5)
    assert [row["id"] for row in ask(OPERATOR, "GET", "/jobs")["rows"]] == [job["id"]]


def test_the_engine_is_chosen_and_the_sql_of_each_is_shown(
    ask: Ask, sqlite_site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    written = {
        one["engine"]: one for one in ask(DEVELOPER, "POST", f"{BASE}/sql/explain", {"sql": BY_REGION})["engines"]
    }
    assert '"地区"' in written["duckdb"]["stages"][0]["sql"]
    assert "`地区`" in written["spark"]["stages"][0]["sql"]
    job = {"title": "分布", "sql": BY_REGION, "engine": "duckdb"}
    assert ask(DEVELOPER, "POST", f"{BASE}/jobs/sql", job, expect=201)["plan"]["engine"] == "duckdb"
    refused = ask(DEVELOPER, "POST", f"{BASE}/jobs/sql", job | {"engine": "spark"}, expect=409)
    assert "spark-not-configured" in [reason["code"] for reason in refused["reasons"]]
    ask(DEVELOPER, "POST", f"{BASE}/jobs/sql", job | {"engine": "presto"}, expect=422)
    assert cli.sql_explain(sqlite_site, ENTITLEMENT, BY_REGION) == 0
    told = capsys.readouterr().out
    assert "-- engine: duckdb" in told
    assert "-- engine: spark" in told
    assert cli.sql_submit(sqlite_site, DEVELOPER, ENTITLEMENT, "分布", BY_REGION, (), "duckdb") == 0
    capsys.readouterr()


def test_the_report_tells_how_many_groups_and_units_were_withheld(
    ask: Ask, sqlite_site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    early = "month(注册日期) <= 4"
    sql = f"SELECT year(注册日期) AS y, count(*) FILTER (WHERE {early}) AS n FROM enterprise GROUP BY year(注册日期)"
    told = {}
    for title, statement in (("some", BY_REGION), ("exact", sql)):
        job = ask(DEVELOPER, "POST", f"{BASE}/jobs/sql", {"title": title, "sql": statement}, expect=201)
        assert cli.sql_report(sqlite_site, DEVELOPER, job["id"]) == 1
        compute.run_job(sqlite_site, JobId(job["id"]))
        report = ask(DEVELOPER, "GET", f"/jobs/{job['id']}")["report"]
        told[title] = (report["some_withheld"], report["groups_withheld"], report["units_withheld_percent"])
        assert cli.sql_report(sqlite_site, DEVELOPER, job["id"]) == 0
    assert told == {"some": (True, None, None), "exact": (True, 2, 10)}
    assert job["id"] not in capsys.readouterr().out
    assert cli.sql_report(sqlite_site, DEVELOPER, job["id"]) == 0
    assert {"2", "10 %"} <= {line.rpartition(": ")[2] for line in capsys.readouterr().out.splitlines()}
    assert cli.sql_report(sqlite_site, DEVELOPER, job["id"], as_json=True) == 0
    assert '"units_withheld_percent":10' in capsys.readouterr().out


def test_a_refused_statement_names_column_operator_and_fix(ask: Ask, sqlite_site: Site) -> None:
    sql = "SELECT 企业名称, max(注册资本) FROM enterprise GROUP BY 企业名称"
    found = ask(DEVELOPER, "POST", f"{BASE}/sql/explain", {"sql": sql})
    assert [reason["code"] for reason in found["reasons"]] == ["group-missing", "rank-missing"]
    assert found["reasons"][0]["facts"] == {"column": "enterprise.企业名称", "operator": "GROUP BY"}
    assert found["reasons"][0]["fix_zh"]
    problem = ask(DEVELOPER, "POST", f"{BASE}/jobs/sql", {"title": "x", "sql": sql}, expect=422)
    assert [reason["code"] for reason in problem["reasons"]] == ["group-missing", "rank-missing"]
    outcomes = [entry.outcome.value for entry in audit.list_entries(sqlite_site, AUDITOR, PageRequest()).rows]
    assert outcomes.count("denied") == 2


def test_parameters_are_bound_frozen_and_refused_where_they_do_not_fit(ask: Ask, sqlite_site: Site) -> None:
    sql = "SELECT 地区 AS region, count(*) AS n FROM enterprise GROUP BY 地区 HAVING count(*) > $few ORDER BY region LIMIT ?"
    few = {"name": "few", "data_type": "integer", "value": "1", "characters_max": 3}
    given = [few, {"name": "1", "data_type": "integer", "value": "2"}]
    assert ask(DEVELOPER, "POST", f"{BASE}/sql/explain", {"sql": sql, "parameters": given})["permitted"]
    tried = ask(DEVELOPER, "POST", f"{BASE}/sql/try", {"sql": sql, "parameters": given})
    assert len(tried["rows"]) <= 2
    body = {"title": "分布", "sql": sql, "parameters": given}
    job = ask(DEVELOPER, "POST", f"{BASE}/jobs/sql", body, expect=201)
    assert [(p["name"], p["value"]) for p in job["plan"]["parameters"]] == [("few", "1"), ("1", "2")]
    compute.run_job(sqlite_site, JobId(job["id"]))
    assert ask(AUDITOR, "GET", f"/jobs/{job['id']}")["report"]["rows"] == 2
    body["parameters"] = [{**few, "value": "1 OR 1 = 1"}]
    problem = ask(DEVELOPER, "POST", f"{BASE}/jobs/sql", body, expect=422)
    assert {reason["code"] for reason in problem["reasons"]} == {"parameter-invalid", "parameter-unknown"}
    assert "1 = 1" not in str(problem)


def test_the_command_line_explains_and_submits_with_parameters(
    sqlite_site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(sqlite_site)
    sql, given = "SELECT count(*) AS n FROM enterprise WHERE 地区 <> $place", ("place: text(10) = 地区1",)
    assert cli.sql_explain(sqlite_site, ENTITLEMENT, sql, given) == 0
    assert "'地区1'" in capsys.readouterr().out
    assert cli.sql_explain(sqlite_site, ENTITLEMENT, sql) == 1
    assert "parameter-unknown" in capsys.readouterr().out
    assert cli.sql_explain(sqlite_site, ENTITLEMENT, sql, ("place text = x",)) == 1
    assert "parameter-unreadable" in capsys.readouterr().out
    assert cli.sql_submit(sqlite_site, DEVELOPER, ENTITLEMENT, "区域", sql, given) == 0
    done = compute.run_job(sqlite_site, JobId(capsys.readouterr().out.strip()))
    assert (done.status.value, done.plan.parameters[0].value) == ("succeeded", "地区1")


def test_the_page_of_the_console_takes_parameters_one_in_a_line(ask: Ask, sqlite_site: Site) -> None:
    secret = parties.create_token(sqlite_site, DEVELOPER, label="page")[0]
    sql = "SELECT count(*) AS n FROM enterprise WHERE 地区 <> $place AND 地区 <> ?"
    with TestClient(create_app(sqlite_site), headers={"Authorization": f"Bearer {secret}"}) as page:
        shown = page.get(f"{BASE}/sql")
        assert 'name="parameters"' in shown.text
        form = {"sql": sql, "parameters": "place: text(10) = 地区1\n1: text = 地区2", "title": "区域"}
        told = page.post(f"{BASE}/explain", data=form)
        assert "&#39;地区1&#39;" in told.text
        odd = page.post(f"{BASE}/explain", data={**form, "parameters": "place text"})
        assert "parameter-unreadable" in odd.text
        done = page.post(f"{BASE}/jobs", data=form, follow_redirects=False)
        assert done.status_code in {200, 204, 303}
    jobs = ask(DEVELOPER, "GET", "/jobs")["rows"]
    assert [p["value"] for p in jobs[0]["plan"]["parameters"]] == ["地区1", "地区2"]


def test_a_verification_is_submitted(ask: Ask) -> None:
    fields = [
        {"name": "code", "column": "信用代码", "is_key": True},
        {"name": "name", "column": "企业名称"},
    ]
    body = {"title": "核验", "relation": "enterprise", "fields": fields}
    job = ask(DEVELOPER, "POST", f"{BASE}/jobs/verification", body, expect=201)
    assert job["plan"]["verification"]["fields"][0]["is_key"]
    del fields[0]
    problem = ask(DEVELOPER, "POST", f"{BASE}/jobs/verification", body, expect=422)
    assert "verification-key-count" in [reason["code"] for reason in problem["reasons"]]


def test_synthetic_rows_are_paged_by_seed(ask: Ask) -> None:
    path = f"{BASE}/relations/enterprise/synthetic-rows?seed=3&rows=4"
    rows = ask(DEVELOPER, "GET", path)
    assert len(rows["rows"]) == 4
    assert ask(DEVELOPER, "GET", path) == rows


def test_others_learn_nothing(ask: Ask) -> None:
    ask(STRANGER, "POST", f"{BASE}/sql/explain", {"sql": BY_REGION}, expect=404)
    ask(STRANGER, "POST", f"{BASE}/jobs/sql", {"title": "x", "sql": BY_REGION}, expect=404)
    ask(OPERATOR, "POST", f"{BASE}/jobs/sql", {"title": "x", "sql": BY_REGION}, expect=403)
    ask(STRANGER, "GET", "/jobs/absent", expect=404)
