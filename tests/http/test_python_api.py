"""Python jobs over HTTP and from the command line: the same submission, the same refusals, nothing of the data."""

from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from gongshu.access.types import Role
from gongshu.base.ids import JobId
from gongshu.compute import cli
from gongshu.compute import service as compute
from gongshu.compute.types import JobStatus
from gongshu.egress import service as egress
from gongshu.parties import service as parties
from gongshu.parties import store as parties_store
from gongshu.parties.types import Party, Person
from gongshu.scenarios import store as scenarios_store
from gongshu.server.asgi import create_app
from gongshu.server.cli import main
from gongshu.server.edge import SESSION_COOKIE
from tests import programs
from tests.governed_site import AUDITOR, DEVELOPER, ENTITLEMENT, STRANGER
from tests.http.test_compute_api import BASE, ask
from tests.world import SECURITY

__all__ = ["ask"]

BODY = {
    "code": programs.COUNTING,
    "inputs": [{"relation": "enterprise", "columns": ["信用代码", "地区", "注册资本"]}],
    "outputs": ["by-region.parquet"],
}


@pytest.fixture
def open_to_programs(ask, sqlite_site):
    """Let programs have region and capital."""
    with sqlite_site.db.transaction() as tx:
        before = scenarios_store.ENTITLEMENTS.get(tx, ENTITLEMENT)
        resources = (replace(before.resources[0], policy=programs.policy()),)
        scenarios_store.ENTITLEMENTS.save(tx, before, replace(before, resources=resources))
    return ask


def test_a_program_is_tried_submitted_and_its_files_are_told_by_name_only(open_to_programs, sqlite_site):
    ask = open_to_programs
    tried = ask(DEVELOPER, "POST", f"{BASE}/python/try", BODY)
    assert (tried["failure"], tried["tables"][0]["columns"]) == ("", ["地区", "n", "total"])
    job = ask(DEVELOPER, "POST", f"{BASE}/jobs/python", {"title": "分布", **BODY}, expect=201)
    assert job["plan"]["program"]["outputs"] == ["by-region.parquet"]
    # The tick is frozen in the plan: this one ends as soon as it ends.
    with sqlite_site.db.transaction() as tx:
        kept = compute.job_in(tx, JobId(job["id"]))
        program = replace(kept.plan.program, tick_seconds=0)
        from gongshu.compute import store

        store.JOBS.save(tx, kept, replace(kept, plan=replace(kept.plan, program=program)))
    assert compute.run_job(sqlite_site, JobId(job["id"])).status is JobStatus.SUCCEEDED
    told = ask(DEVELOPER, "GET", f"/jobs/{job['id']}")
    assert [(file["name"], file["sha256"]) for file in told["files"]] == [("by-region.parquet", "")]
    seen = ask(AUDITOR, "GET", f"/jobs/{job['id']}")
    assert [len(file["sha256"]) for file in seen["files"]] == [64, 64]


def test_refusals_name_column_and_fix(ask):
    closed = {**BODY, "inputs": [{"relation": "enterprise", "columns": ["注册资本"]}]}
    problem = ask(DEVELOPER, "POST", f"{BASE}/jobs/python", {"title": "x", **closed}, expect=403)
    assert [reason["code"] for reason in problem["reasons"]] == ["program-column-closed"]
    facts = problem["reasons"][0]["facts"]
    assert (facts["column"], facts["missing"]) == ("注册资本", "filter, group")
    ask(STRANGER, "POST", f"{BASE}/python/try", BODY, expect=404)


def test_the_command_line_tries_and_submits(open_to_programs, sqlite_site, capsys):
    given = programs.COUNTED
    assert cli.python_try(sqlite_site, DEVELOPER, ENTITLEMENT, given, as_json=False) == 0
    shown = capsys.readouterr().out
    assert "['地区', '注册资本', '信用代码'] True" in shown
    assert "by-region.parquet" in shown
    failing = replace(given, code="raise ValueError('no')")
    assert cli.python_try(sqlite_site, DEVELOPER, ENTITLEMENT, failing, as_json=True) == 1
    assert '"failure":"program-failed"' in capsys.readouterr().out
    assert cli.python_submit(sqlite_site, DEVELOPER, ENTITLEMENT, "分布", given) == 0
    assert capsys.readouterr().out.startswith("job-")


def test_the_command_line_reads_program_and_columns(home, tmp_path, capsys):
    program = tmp_path / "count.py"
    program.write_text(programs.COUNTING)
    arguments = ["python", "try", "entitlement-1", str(program), "--read", "enterprise:地区", "--write", "a.csv"]
    assert main(arguments) != 0  # nobody in particular may not
    assert "permission-missing" in capsys.readouterr().err
    assert main([*arguments[:3], str(Path(tmp_path) / "none.py")]) != 0
    assert "program-file-unreadable" in capsys.readouterr().err


def test_the_pages_show_a_reviewer_every_file_and_the_author_names_only(open_to_programs, sqlite_site):
    site = programs.without_ticks(sqlite_site)
    job = compute.submit_python(site, DEVELOPER, ENTITLEMENT, "分布", programs.COUNTED)
    compute.run_job(site, job.id)
    output = egress.collect(site, job.id)
    egress.submit_for_review(site, DEVELOPER, output.id, "统计")
    digest = egress.get_output(site, AUDITOR, output.id).files[0].sha256
    with site.db.transaction() as tx:
        party = Party(SECURITY.party, "审核单位", "9" * 18, frozenset(Role), "350100")
        parties_store.PARTIES.add(tx, party)
        parties_store.PEOPLE.add(tx, Person(SECURITY.person, SECURITY.party, "审", SECURITY.person, SECURITY.roles))
    with TestClient(create_app(site)) as client:

        def see(actor, path):
            client.cookies.set(SESSION_COOKIE, parties.sign_in_as(replace(site, is_demo=True), actor.person)[0])
            answer = client.get(path, headers={"Accept-Language": "en", "Accept": "text/html"})
            assert answer.status_code == 200, answer.text
            return answer.text

        author = see(DEVELOPER, f"/outputs/{output.id}")
        assert "Not told before the release" in author
        assert digest[:8] not in author
        assert "printed.txt" not in author
        reviewer = see(SECURITY, f"/outputs/{output.id}")
        assert digest[:8] in reviewer
        assert f"/outputs/{output.id}/rows?file=printed.txt" in reviewer
        assert "Written by a program: for people to read" in reviewer
        assert "[&#39;地区&#39;" in see(SECURITY, f"/outputs/{output.id}/rows?file=printed.txt")
        assert "地区1" in see(SECURITY, f"/outputs/{output.id}/rows?file=by-region.parquet")
        told = see(DEVELOPER, f"/jobs/{job.id}")
        assert "What the program reads and writes" in told
        assert digest[:8] not in told
        assert "not for programs" in see(DEVELOPER, f"/entitlements/{ENTITLEMENT}/python")
