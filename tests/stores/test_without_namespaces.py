"""A machine that cannot make namespaces: governed SQL runs on two lines and says so, Python jobs do not run at all."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.paging import FIRST_PAGE
from gongshu.compute import service as compute
from gongshu.compute.adapters import confinement
from gongshu.compute.types import JobStatus
from tests import governed_site, programs
from tests.governed_site import AUDITOR, DEVELOPER, ENTITLEMENT

SQL = 'SELECT "地区", count(*) AS n FROM enterprise GROUP BY "地区"'


@pytest.fixture
def settled(sqlite_site, monkeypatch, tmp_path):
    site = programs.without_ticks(sqlite_site)
    governed_site.settle(site, programs.policy())
    monkeypatch.setenv("PATH", str(tmp_path))  # bubblewrap is not installed
    assert not confinement.has_namespaces()
    return site


def test_sql_runs_with_two_lines_and_the_log_says_so(settled):
    job = compute.submit_sql(settled, DEVELOPER, ENTITLEMENT, "区域", SQL)
    ended = compute.run_job(settled, job.id)
    assert ended.status is JobStatus.SUCCEEDED
    assert ended.report is not None
    assert ended.report.defences[:4] == ("gate", "bound-plan", "limits", "seccomp")
    assert "namespaces" not in ended.report.defences
    entries = audit.list_entries(settled, AUDITOR, FIRST_PAGE, action="job.succeed").rows
    assert entries[0].facts["without"] == "namespaces"
    assert entries[0].facts["defences"].startswith("gate, bound-plan, limits, seccomp")


def test_python_jobs_are_refused_with_the_reason(settled):
    for act in (
        lambda: compute.submit_python(settled, DEVELOPER, ENTITLEMENT, "区域", programs.COUNTED),
        lambda: compute.try_python(settled, DEVELOPER, ENTITLEMENT, programs.COUNTED),
    ):
        with pytest.raises(Refused) as caught:
            act()
        assert [reason.code for reason in caught.value.reasons] == ["program-no-namespaces"]
        assert "bubblewrap" in caught.value.reasons[0].fix.en
        assert "bubblewrap" in caught.value.reasons[0].fix.zh


def test_a_python_job_that_waits_fails_when_its_worker_cannot_make_a_cell(sqlite_site, monkeypatch, tmp_path):
    site = programs.without_ticks(sqlite_site)
    governed_site.settle(site, programs.policy())
    job = compute.submit_python(site, DEVELOPER, ENTITLEMENT, "区域", programs.COUNTED)
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = compute.run_job(site, job.id)
    assert (ended.status, ended.failure_code) == (JobStatus.FAILED, "cell-unavailable")
    assert not compute.output_folder(site, ended).exists()


def test_a_bubblewrap_that_fails_counts_as_none(monkeypatch, tmp_path):
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert not confinement.has_namespaces()


PROBE = """
from gongshu.compute.adapters import confinement
print(confinement.has_namespaces())
"""


@pytest.mark.skipif(
    not shutil.which("unshare") or not confinement.has_namespaces(), reason="no namespaces to take away"
)
def test_a_kernel_that_gives_no_user_namespaces_is_noticed():
    """Take them away for real: in a namespace whose own limit of user namespaces is 0."""
    root = Path(confinement.__file__).resolve().parents[3]
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -c "$1"'
    seen = [
        subprocess.run(
            ["unshare", "--user", "--map-root-user", "sh", "-c", line, sys.executable, PROBE],
            cwd=root, capture_output=True, text=True, timeout=60,
        ).stdout.strip()
        for line in (script, 'exec "$0" -c "$1"')
    ]  # fmt: skip
    assert seen == ["False", "True"]
