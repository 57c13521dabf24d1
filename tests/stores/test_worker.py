"""A worker that is killed loses nothing and doubles nothing, wherever it dies, on both stores."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from examples.city import make_city
from gongshu.audit import service as audit
from gongshu.base.ids import JobId
from gongshu.base.site import Site
from gongshu.compute import service as compute
from gongshu.compute.types import JobStatus
from gongshu.server.demo import develop, supply
from gongshu.server.demo.cast import set_up_cast
from gongshu.server.demo.stage import Stage
from gongshu.server.migrate import upgrade
from gongshu.server.problems import EXIT_CODE_OF, Kind
from gongshu.server.wiring import make_site
from tests.stores.dying_worker import POINTS, SECRET_VALUE

SECONDS_MAX = 60
ENTERPRISES, PEOPLE = 600, 40
KILLED = -signal.SIGKILL
DYING = [str(Path(__file__).with_name("dying_worker.py"))]
LIVING = ["-m", "gongshu.server.cli", "worker"]


class Office:
    """A site on which a developer may submit jobs, and workers for it."""

    def __init__(self, site: Site, database_url: str, say: Callable[[str], None]) -> None:
        self.site, self.database_url = site, database_url
        city = make_city(site.home / "city", enterprises=ENTERPRISES, people=PEOPLE)
        self.stage = Stage(site=site, people=set_up_cast(site), say=say)
        supply.ingest(self.stage, city.enterprise_files, city.people_files)
        supply.register(self.stage)
        supply.authorize(self.stage)
        develop.apply_for_scenario(self.stage)

    def submit(self, title: str) -> JobId:
        developer, entitlement = self.stage.people["developer"], self.stage.made["entitlement"]
        sql = "SELECT 所在省份 AS province, count(DISTINCT 统一社会信用代码) AS n FROM enterprise GROUP BY 所在省份"
        return compute.submit_sql(self.site, developer, entitlement.id, title, sql).id

    @contextmanager
    def worker(self, *command: str) -> Iterator["Running"]:
        environment = {
            **os.environ, "GONGSHU_HOME": str(self.site.home), "GONGSHU_DATABASE_URL": self.database_url,
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        }  # fmt: skip
        log = self.site.home / f"worker-{time.monotonic_ns()}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen([sys.executable, *command], env=environment, stderr=stream)
        try:
            yield Running(process, log)
        finally:
            process.kill()
            process.wait()

    def rows(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        with self.site.db.reading() as tx:
            return [tuple(row) for row in tx.execute(text(statement), values)]

    def job(self, job_id: JobId) -> JobStatus:
        with self.site.db.reading() as tx:
            return compute.job_in(tx, job_id).status

    def outputs(self, job_id: JobId) -> list[tuple[object, ...]]:
        return self.rows("SELECT id, status FROM output WHERE job = :job", job=job_id)

    def entries(self, job_id: JobId, action: str) -> int:
        """Count the permitted entries of one action about a job or its output."""
        about = [job_id, *(str(row[0]) for row in self.outputs(job_id))]
        found = self.rows(
            "SELECT subject_id FROM audit_entry WHERE action = :action AND outcome = 'permitted'", action=action
        )
        return sum(row[0] in about for row in found)


@dataclass(frozen=True)
class Running:
    """A worker process and what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def end(self) -> int:
        return self.process.wait(SECONDS_MAX)

    def wait_for(self, what: str, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS_MAX
        while not is_so():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{what} did not happen; the worker said: {self.said()}")
            time.sleep(0.05)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def office(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Give one office per store: what leads to a job is played once."""
    home = tmp_path_factory.mktemp("worker") / "var"
    home.mkdir()
    (home / "demo").touch()
    url = f"sqlite:///{home / 'gongshu.db'}"
    if request.param == "postgresql":
        server: str = request.getfixturevalue("postgres_url")
        name = f"worker_{os.getpid()}"
        with psycopg.connect(server.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        url = f"{server.removesuffix('/postgres')}/{name}"
    site = make_site(home, database_url=url, is_demo=True)
    upgrade(site)
    yield Office(site, url, lambda _line: None)
    site.db.close()


def test_a_killed_worker_loses_nothing_and_doubles_nothing(office: Office) -> None:
    jobs = {}
    for point in POINTS:
        if point == "crash":
            continue
        jobs[point] = office.submit(point)
        with office.worker(*DYING, point) as dying:
            assert dying.end() == KILLED, dying.said()
    with office.worker(*LIVING) as living:
        for point, job_id in jobs.items():
            living.wait_for(f"the output of the job killed {point}", lambda job_id=job_id: bool(office.outputs(job_id)))
    for point, job_id in jobs.items():
        assert office.job(job_id) is JobStatus.SUCCEEDED, point
        assert len(office.outputs(job_id)) == 1, point
        assert office.entries(job_id, "job.submit") == 1, point
        assert office.entries(job_id, "job.succeed") == 1, point
        assert office.entries(job_id, "output.collect") == 1, point
        with office.site.db.reading() as tx:
            job = compute.job_in(tx, job_id)
        written = {path.name for path in Path(compute.output_folder(office.site, job)).iterdir()}
        assert written == {file.name for file in job.files}, point
    audit.integrate(office.site)
    assert audit.fsck(office.site).faults == ()


def test_a_worker_that_is_asked_to_stop_ends_in_order(office: Office) -> None:
    with office.worker(*LIVING) as living:
        job_id = office.submit("once")
        living.wait_for("the output", lambda: bool(office.outputs(job_id)))
        living.process.terminate()
        assert living.end() == 0
        assert living.said() == ""


def test_an_installation_has_one_worker(office: Office) -> None:
    with office.worker(*LIVING) as first:
        job_id = office.submit("first")
        first.wait_for("the output", lambda: bool(office.outputs(job_id)))
        with office.worker(*LIVING) as second:
            assert second.end() == EXIT_CODE_OF[Kind.CONFLICT]
            assert "worker-running" in second.said()
        assert first.process.poll() is None


def test_a_job_that_crashes_fails_and_its_message_is_kept_nowhere(office: Office) -> None:
    job_id = office.submit("crashes")
    with office.worker(*DYING, "crash") as worker:
        worker.wait_for("the end of the job", lambda: office.job(job_id) is JobStatus.FAILED)
        worker.process.terminate()
        assert worker.end() == 0
    assert "ValueError" in worker.said()
    assert SECRET_VALUE not in worker.said()
    assert office.outputs(job_id) == []
    kept = everything(office)
    assert job_id in kept
    assert SECRET_VALUE not in kept


def everything(office: Office) -> str:
    """Return every row of every table, also of the job queue, as one text."""
    from sqlalchemy import MetaData

    engine = office.site.db.engine  # type: ignore[attr-defined]
    found = []
    for schema in ("public", "dbos") if engine.dialect.name == "postgresql" else (None,):
        metadata = MetaData(schema=schema)
        metadata.reflect(engine)
        with engine.connect() as connection:
            for table in metadata.tables.values():
                found += [str(row) for row in connection.execute(table.select())]
    return "\n".join(found)
