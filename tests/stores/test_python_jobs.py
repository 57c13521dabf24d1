"""Python jobs on a real site: frozen, tried on synthetic rows, run in a cell, quarantined, reviewed by two, released."""

from dataclasses import replace
from pathlib import Path

import pytest

from gongshu.base.decisions import Refused
from gongshu.base.paging import FIRST_PAGE
from gongshu.compute import service as compute
from gongshu.compute import store
from gongshu.compute.adapters import programs as cells
from gongshu.compute.types import JobKind, JobStatus, ProgramInput
from gongshu.egress import service as egress
from gongshu.egress.types import CheckVerdict
from gongshu.policies.types import Use
from tests import governed_site, programs
from tests.governed_site import AUDITOR, DEVELOPER, ENTITLEMENT, STRANGER


def refusal(act):
    with pytest.raises(Refused) as caught:
        act()
    return [reason.code for reason in caught.value.reasons]


@pytest.fixture
def settled(sqlite_site):
    site = programs.without_ticks(sqlite_site)
    governed_site.settle(site, programs.policy())
    return site


def submit(site, given=programs.COUNTED, title="区域分布"):
    return compute.submit_python(site, DEVELOPER, ENTITLEMENT, title, given)


def test_the_same_program_runs_on_synthetic_rows_and_on_real_ones(settled):
    trial = compute.try_python(settled, DEVELOPER, ENTITLEMENT, programs.COUNTED)
    assert trial.failure == ""
    assert trial.printed == "['地区', '注册资本', '信用代码'] True\n"
    assert trial.tables[0].columns == ("地区", "n", "total")
    assert sum(row[1] for row in trial.tables[0].rows) == 2000

    job = submit(settled)
    assert (job.plan.kind, job.plan.code, len(job.plan.inputs)) == (JobKind.PYTHON, programs.COUNTING, 1)
    assert job.plan.program is not None
    assert job.plan.program.projections[0].columns == ("地区", "注册资本")
    assert job.plan.program.projections[0].pseudonyms == ("信用代码",)
    ended = compute.run_job(settled, job.id)
    assert (ended.status, ended.failure_code) == (JobStatus.SUCCEEDED, "")
    assert ended.report is not None
    assert {"namespaces", "seccomp"} <= set(ended.report.defences)
    assert [file.name for file in ended.files] == ["by-region.parquet", "printed.txt"]
    rows = governed_site.parquet_rows(compute.output_folder(settled, ended) / "by-region.parquet")
    assert sum(row[1] for row in rows) == governed_site.ROWS
    printed = (compute.output_folder(settled, ended) / "printed.txt").read_text()
    assert printed == trial.printed


def test_identifiers_come_as_pseudonyms_that_hold_within_one_job(settled):
    code = (
        'from gongshu import job\nimport polars as pl\nrows = job.polars("enterprise")\n'
        'job.write_table("codes.csv", rows.select("信用代码").sort("信用代码"))\n'
    )
    given = compute.Submission(code, (ProgramInput("enterprise", ("信用代码",)),), ("codes.csv",))
    seen = []
    for _ in range(2):
        ended = compute.run_job(settled, submit(settled, given).id)
        text = (compute.output_folder(settled, ended) / "codes.csv").read_text()
        seen.append(set(text.splitlines()[1:]))
    assert all(len(codes) == governed_site.ROWS for codes in seen)
    assert seen[0].isdisjoint(seen[1])
    raw = {str(row[0]) for row in governed_site.parquet_rows(next((settled.home / "data").rglob("*.parquet")))}
    assert raw.isdisjoint(seen[0])


def test_every_reason_against_a_program_is_told(settled):
    given = compute.Submission(
        "print(",
        (ProgramInput("enterprise", ("法定代表人", "没有")), ProgramInput("nothing", ("a",))),
        ("../x.parquet", "printed.txt"),
    )
    assert sorted(refusal(lambda: submit(settled, given))) == [
        "program-column-closed", "program-column-unknown", "program-output-invalid", "program-output-invalid",
        "program-relation-unknown", "program-relation-unlinked", "program-unreadable",
    ]  # fmt: skip
    assert refusal(lambda: compute.submit_python(settled, STRANGER, ENTITLEMENT, "x", programs.COUNTED)) == [
        "not-found"
    ]


def test_two_relations_are_read_together_only_where_each_may_be_joined(settled):
    from gongshu.compute.rules.programs import decide_program
    from gongshu.compute.service.programs import limits_of

    firms = programs_relation("firms")
    taxes = programs_relation("taxes")

    def ask(*inputs):
        decision = decide_program((firms, taxes), "pass", inputs, (), limits_of(settled))
        return [(reason.code, dict(reason.facts)["relation"]) for reason in decision.reasons]

    linked = ("信用代码", "地区")
    assert ask(ProgramInput("firms", linked), ProgramInput("taxes", linked)) == []
    assert ask(ProgramInput("firms", ("地区",))) == []
    assert ask(ProgramInput("firms", linked), ProgramInput("taxes", ("地区",))) == [
        ("program-relation-unlinked", "taxes")
    ]


def programs_relation(name):
    from gongshu.base.ids import ResourceId
    from gongshu.compute.types import Relation, RelationColumn

    columns = tuple(RelationColumn(column, kind) for column, (kind, _, _) in governed_site.COLUMNS.items())
    return Relation(name, ResourceId(f"resource-{name}"), columns, programs.policy())


def test_only_so_many_programs_run_in_a_day(settled):
    entries = tuple(
        replace(entry, value=1) if entry.key == "compute.python.jobs_per_day_max" else entry
        for entry in settled.parameters.entries
    )
    strict = replace(settled, parameters=replace(settled.parameters, entries=entries))
    submit(strict)
    assert refusal(lambda: submit(strict)) == ["program-jobs-used-up"]


def test_a_failing_program_tells_its_code_and_nothing_else(settled):
    code = 'from gongshu import job\nraise ValueError(job.pandas("enterprise")["注册资本"].max())\n'
    given = compute.Submission(code, (ProgramInput("enterprise", ("注册资本",)),), ())
    trial = compute.try_python(settled, DEVELOPER, ENTITLEMENT, given)
    assert (trial.failure, "ValueError" in trial.printed) == ("program-failed", True)
    ended = compute.run_job(settled, submit(settled, given).id)
    assert (ended.status, ended.failure_code, ended.files) == (JobStatus.FAILED, "program-failed", ())
    assert ended.report is None
    assert not compute.output_folder(settled, ended).exists()


def test_a_run_without_the_frozen_environment_or_without_namespaces_is_refused(settled, monkeypatch):
    job, other = submit(settled), submit(settled)
    image = cells.find_job_image()
    monkeypatch.setattr(cells, "find_job_image", lambda: replace(image, digest="0" * 64))
    assert compute.run_job(settled, job.id).failure_code == "image-changed"
    monkeypatch.setattr(cells, "find_job_image", lambda: None)
    assert compute.run_job(settled, other.id).failure_code == "cell-unavailable"
    assert refusal(lambda: submit(settled)) == ["program-image-missing"]


# ---------------------------------------------------------------------------------------------------------- egress

LEAKING = """
from gongshu import job
rows = job.pandas("enterprise")
job.write_table("copy.parquet", rows[["注册资本", "地区"]].rename(columns={"地区": "13800138000", "注册资本": "x"}))
job.write_text("note.txt", "call 13912345678\\n" + "QUJD" * 40 + "\\n")
print("done")
"""


def test_an_output_of_a_program_never_passes_by_itself_and_its_author_sees_names_only(settled):
    given = compute.Submission(
        LEAKING, (ProgramInput("enterprise", ("地区", "注册资本")),), ("copy.parquet", "note.txt")
    )
    ended = compute.run_job(settled, submit(settled, given).id)
    output = egress.collect(settled, ended.id)
    found = {(f.check, f.target): f.verdict for f in output.findings}
    failed = {(f.check, f.target) for f in output.findings if f.verdict is CheckVerdict.FAIL}
    assert all(
        found["program-output", name] is CheckVerdict.REVIEW for name in ("copy.parquet", "note.txt", "printed.txt")
    )
    assert {("identifiers", "copy.parquet"), ("identifiers", "note.txt")} <= failed  # the first in the name of a column
    assert found["packed-text", "note.txt"] is CheckVerdict.REVIEW
    assert not any("13800138000" in repr(finding) for finding in output.findings)

    seen = egress.get_output(settled, DEVELOPER, output.id)
    assert [file.name for file in seen.files] == ["copy.parquet", "note.txt"]
    assert all((file.sha256, file.bytes, file.rows) == ("", 0, 0) for file in seen.files)
    assert all(finding.facts == {} and "#" not in finding.target for finding in seen.findings)
    listed = egress.list_outputs(settled, DEVELOPER, FIRST_PAGE).rows[0]
    assert listed == seen
    told = compute.get_job(settled, DEVELOPER, ended.id)
    assert [file.sha256 for file in told.files] == ["", ""]
    assert compute.list_jobs(settled, DEVELOPER).rows[0] == told
    assert len(compute.get_job(settled, AUDITOR, ended.id).files[0].sha256) == 64
    assert (
        refusal(lambda: egress.submit_for_review(settled, DEVELOPER, output.id, "说明")) == ["output-check-failed"] * 3
    )


def test_rows_of_a_source_are_found_again_under_other_names(settled):
    code = (
        'from gongshu import job\nrows = job.pandas("enterprise")\n'
        'rows.columns = ["a", "b", "c"]\njob.write_table("copy.csv", rows)\n'
    )
    given = policy_with_days(settled, code)
    ended = compute.run_job(settled, submit(settled, given).id)
    output = egress.collect(settled, ended.id)
    rows = next(f for f in output.findings if f.check == "source-rows")
    assert (rows.verdict, rows.facts["relation"]) == (CheckVerdict.FAIL, "enterprise")
    assert int(rows.facts["matching"]) > 200


def policy_with_days(site, code):
    """Let programs have the day of registration too, with which few enterprises are alike."""
    from gongshu.scenarios import store as scenarios_store

    with site.db.transaction() as tx:
        before = scenarios_store.ENTITLEMENTS.get(tx, ENTITLEMENT)
        resource = before.resources[0]
        columns = tuple(
            replace(c, uses=c.uses | programs.OPEN_TO_PROGRAMS) if c.column == "注册日期" else c
            for c in resource.policy.columns
        )
        wider = replace(resource, policy=replace(resource.policy, columns=columns))
        scenarios_store.ENTITLEMENTS.save(tx, before, replace(before, resources=(wider,)))
    return compute.Submission(code, (ProgramInput("enterprise", ("地区", "注册日期", "注册资本")),), ("copy.csv",))


MODEL = """
from gongshu import job
from sklearn.linear_model import LogisticRegression
import statsmodels.api as sm
rows = job.pandas("enterprise")
x = rows[["注册资本"]].astype("float32").to_numpy()
y = (rows["地区"] == rows["地区"].iloc[0]).to_numpy()
job.write_model("region.onnx", LogisticRegression().fit(x, y), ["注册资本"])
job.write_text("fit.txt", str(sm.OLS(y.astype(float), sm.add_constant(x)).fit().rsquared) + "\\n")
"""


def test_a_model_leaves_as_onnx_and_is_measured(settled):
    given = compute.Submission(MODEL, (ProgramInput("enterprise", ("地区", "注册资本")),), ("region.onnx", "fit.txt"))
    trial = compute.try_python(settled, DEVELOPER, ENTITLEMENT, given)
    assert (trial.failure, trial.models[0][1].operators) == ("", ("LinearClassifier",))
    ended = compute.run_job(settled, submit(settled, given).id)
    output = egress.collect(settled, ended.id)
    found = {f.check: f for f in output.findings if f.target == "region.onnx"}
    assert found["model-size"].verdict is CheckVerdict.PASS
    assert found["model-content"].verdict is CheckVerdict.REVIEW
    assert found["model-content"].facts["operators"] == "LinearClassifier"
    assert Path(compute.output_folder(settled, ended) / "region.onnx").read_bytes()[:1] == b"\x08"


def test_uses_decide_what_a_program_gets():
    from gongshu.compute.rules.programs import column_form

    assert column_form(frozenset(Use)) == "value"
    assert column_form(frozenset({Use.REVEAL})) == "value"
    assert column_form(programs.OPEN_TO_PROGRAMS) == "value"
    assert column_form(frozenset({Use.JOIN, Use.COMPARE})) == "pseudonym"
    for missing in programs.OPEN_TO_PROGRAMS:
        assert column_form(programs.OPEN_TO_PROGRAMS - {missing}) == ""
    assert column_form(frozenset({Use.TOTAL, Use.COMPARE})) == ""


def test_the_job_is_kept_whole(settled):
    job = submit(settled)
    with settled.db.reading() as tx:
        assert store.JOBS.get(tx, job.id) == job


def test_two_people_read_every_file_before_it_leaves(settled):
    from gongshu.access.types import Role
    from gongshu.base.paging import PageRequest
    from gongshu.egress.types import OutputStatus, ReviewKind
    from gongshu.parties import store as parties_store
    from gongshu.parties.types import Party
    from tests import world

    ended = compute.run_job(settled, submit(settled).id)
    output = egress.collect(settled, ended.id)
    assert CheckVerdict.FAIL not in {finding.verdict for finding in output.findings}
    with settled.db.transaction() as tx:
        for party, code in world.CODES.items():
            parties_store.PARTIES.add(tx, Party(party, party, code, frozenset(Role), "350100"))
    submitted = egress.submit_for_review(settled, DEVELOPER, output.id, "各地区企业数和注册资本，供统计")
    assert [file.sha256 for file in submitted.files] == [""]
    alone = refusal(lambda: egress.release(settled, world.OPERATOR, output.id))
    assert "reviews-incomplete" in alone  # nothing passes by itself
    for reviewer, kind in ((world.SECURITY, ReviewKind.SECURITY), (world.CONFORMITY, ReviewKind.CONFORMITY)):
        seen = egress.get_output(settled, reviewer, output.id)
        for name in ("by-region.parquet", "printed.txt"):
            shown = egress.preview_output(settled, reviewer, output.id, PageRequest(), file=name)
            assert shown.file == name
            assert shown.total > 0
        with pytest.raises(Refused):
            egress.preview_output(settled, reviewer, output.id, PageRequest(), file="../../gongshu.db")
        egress.vote(settled, reviewer, output.id, kind, seen.digest, approves=True, reason="汇总数据，无个体")
        assert refusal(lambda: egress.preview_output(settled, DEVELOPER, output.id, FIRST_PAGE))
    release = egress.release(settled, world.OPERATOR, output.id)
    assert {file.name for file in release.files} == {"by-region.parquet", "printed.txt"}
    after = egress.get_output(settled, DEVELOPER, output.id)
    assert (after.status, len(after.files[0].sha256)) == (OutputStatus.RELEASED, 64)
