"""The worker: runs submitted jobs durably, and does what falls due.

A submitted job is a row that was written in the same transaction as its audit entry; that row is the order. The
worker turns it into a DBOS workflow named after the job, so starting it twice runs it once, and a killed worker's
workflow is taken up again at its last finished step. See docs/decisions/0003-durable-jobs.md.

DBOS keeps and logs what a step returns or raises, and messages of exceptions may hold data values: steps return short
words and raise nothing.
"""

import fcntl
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

from dbos import DBOS, DBOSConfig, SetWorkflowID

from gongshu.audit import service as audit
from gongshu.base.decisions import Kind, Refused, rule
from gongshu.base.ids import JobId
from gongshu.base.site import Site
from gongshu.compute import service as compute
from gongshu.compute.types import Job, JobStatus
from gongshu.delivery import service as delivery
from gongshu.egress import service as egress
from gongshu.metering import service as metering
from gongshu.registry import service as registry

log = logging.getLogger("gongshu.worker")

QUEUE = "jobs"
JOBS_AT_ONCE = 1  # each job may use all the threads and memory that its limits give it
JOINT_QUEUE = "joint"  # these wait for a peer's node: one that does not come must not hold up other jobs
JOINT_JOBS_AT_ONCE = 2
POLL_SECONDS = 0.25
TICK_SECONDS = 2.0
STOP_SECONDS = 5
ATTEMPTS_MAX = 3
RETRY_SECONDS = 1.0
CRASHED = "crashed"
NOTHING = "succeeded-without-files"

WORKER_RUNNING = rule(
    "worker-running", Kind.CONFLICT, zh="该平台已有一个作业进程在运行。", en="A worker runs on this installation already.",
    fix_zh="请先停止它；每个平台只运行一个作业进程。", fix_en="Stop it first; an installation has one worker.",
)  # fmt: skip


class Worker:
    """One worker process on one site. DBOS allows one per process."""

    def __init__(self, site: Site, database_url: str) -> None:
        """Prepare; nothing runs yet."""
        self.site = site
        self._stop = threading.Event()
        self._day: date | None = None
        config: DBOSConfig = {
            "name": "gongshu",
            "system_database_url": database_url,
            "application_version": "gongshu",
            "log_level": "WARNING",
        }
        DBOS(config=config)
        self._workflow = self._declare()

    def _declare(self) -> Callable[[str], None]:
        site = self.site

        @DBOS.step()
        def run(job_id: str) -> str:
            return _word_of(job_id, lambda: _end_of(compute.run_job(site, JobId(job_id))))

        @DBOS.step()
        def collect(job_id: str) -> str:
            return _word_of(job_id, lambda: egress.collect(site, JobId(job_id)).status.value)

        @DBOS.step()
        def give_up(job_id: str) -> str:
            return _word_of(job_id, lambda: compute.fail_job(site, JobId(job_id)).status.value)

        @DBOS.workflow()
        def run_and_collect(job_id: str) -> None:
            outcome = _attempt(run, job_id)
            if outcome == CRASHED:
                give_up(job_id)
            if outcome == JobStatus.SUCCEEDED.value:
                _attempt(collect, job_id)

        return run_and_collect

    def run(self) -> None:
        """Work until ``stop`` is called; jobs that run are finished or taken up again by the next worker."""
        with _only_worker(self.site):
            DBOS.launch()
            DBOS.register_queue(QUEUE, worker_concurrency=JOBS_AT_ONCE, polling_interval_sec=POLL_SECONDS)
            DBOS.register_queue(JOINT_QUEUE, worker_concurrency=JOINT_JOBS_AT_ONCE, polling_interval_sec=POLL_SECONDS)
            started: set[JobId] = set()
            next_tick = 0.0
            try:
                while not self._stop.is_set():
                    _guarded("jobs", lambda: self._start_waiting(started))
                    if time.monotonic() >= next_tick:
                        self.tick()
                        next_tick = time.monotonic() + TICK_SECONDS
                    self._stop.wait(POLL_SECONDS)
            finally:
                DBOS.destroy(workflow_completion_timeout_sec=STOP_SECONDS)

    def _start_waiting(self, started: set[JobId]) -> None:
        """Hand every job that waits to the queue, once. A job that is there already stays what it is."""
        waiting = tuple(job_id for job_id in compute.waiting_jobs(self.site) if job_id not in started)
        joint = compute.waiting_joint_jobs(self.site) if waiting else frozenset()
        for job_id in waiting:
            with SetWorkflowID(job_id):
                DBOS.enqueue_workflow(JOINT_QUEUE if job_id in joint else QUEUE, self._workflow, job_id)
            started.add(job_id)

    def tick(self) -> None:
        """Do what falls due: keep the gateways' snapshot fresh, collect sealed usage, seal all waiting entries.

        Once a day, registrations that were not renewed lapse (26号 art.15).
        """
        if self._day != self.site.today():
            self._day = self.site.today()
            _guarded("registry", lambda: registry.lapse_expired(self.site))
        _guarded("snapshot", lambda: delivery.publish_snapshot(self.site))
        _guarded("metering", lambda: metering.collect(self.site))
        _guarded("audit", lambda: audit.integrate(self.site))

    def stop(self) -> None:
        """Ask ``run`` to end soon."""
        self._stop.set()


@contextmanager
def _only_worker(site: Site) -> Iterator[None]:
    """Hold the installation's one place for a worker: two would each take up the other's running jobs."""
    site.home.mkdir(parents=True, exist_ok=True)
    place = os.open(site.home / "worker.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(place)
        raise Refused((WORKER_RUNNING.because(),)) from None
    try:
        yield
    finally:
        os.close(place)  # which gives the place back, as does the end of the process


def _attempt(step: Callable[[str], str], job_id: str) -> str:
    """Run a step until it does not crash, at most ``ATTEMPTS_MAX`` times. Each attempt is recorded."""
    outcome = CRASHED
    for attempt in range(ATTEMPTS_MAX):
        if attempt:
            DBOS.sleep(RETRY_SECONDS)
        outcome = step(job_id)
        if outcome != CRASHED:
            break
    return outcome


def _end_of(job: Job) -> str:
    """Return how a job ended; one that has nothing to show, as the side of a joint task that learns nothing, says so."""
    has_nothing = job.status is JobStatus.SUCCEEDED and not job.files
    return NOTHING if has_nothing else job.status.value


def _word_of(job_id: str, action: Callable[[], str]) -> str:
    """Return what ``action`` returns, the codes of a refusal, or ``CRASHED``."""
    try:
        return action()
    except Refused as refused:
        log.warning("job %s: %s", job_id, refused)  # codes only
        return str(refused)
    except Exception as error:  # noqa: BLE001 - logged by type only: messages may hold data values
        log.error("job %s: %s", job_id, type(error).__name__)  # noqa: TRY400 - a traceback may hold data values
        return CRASHED


def _guarded(what: str, action: Callable[[], object]) -> None:
    """Run ``action``; one duty that fails must not stop the others. The next tick tries again."""
    try:
        action()
    except Refused as refused:
        log.warning("%s: %s", what, refused)
    except Exception as error:  # noqa: BLE001 - logged by type only: messages may hold data values
        log.error("%s: %s", what, type(error).__name__)  # noqa: TRY400 - a traceback may hold data values


def run_worker(site: Site, database_url: str) -> None:
    """Run a worker until SIGTERM or SIGINT."""
    worker = Worker(site, database_url)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    worker.run()
    logging.shutdown()
    os._exit(
        0
    )  # a job under way may wait long for a peer's node; its process ends with us, and the next worker takes it up
