"""The worker: runs submitted jobs durably, and does what falls due.

A submitted job is a row that was written in the same transaction as its audit entry; that row is the order. The
worker turns it into a DBOS workflow named after the job, so starting it twice runs it once, and a killed worker's
workflow is taken up again at its last finished step. See docs/decisions/0003-durable-jobs.md.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable

from dbos import DBOS, DBOSConfig, SetWorkflowID

from gongshu.audit import service as audit
from gongshu.base.decisions import Refused
from gongshu.base.ids import JobId
from gongshu.base.site import Site
from gongshu.compute import service as compute
from gongshu.delivery import service as delivery
from gongshu.egress import service as egress
from gongshu.metering import service as metering

log = logging.getLogger("gongshu.worker")

QUEUE = "jobs"
JOBS_AT_ONCE = 1  # each job may use all the threads and memory that its limits give it
POLL_SECONDS = 0.25
TICK_SECONDS = 2.0


class Worker:
    """One worker process on one site. DBOS allows one per process."""

    def __init__(self, site: Site, database_url: str) -> None:
        """Prepare; nothing runs yet."""
        self.site = site
        self._stop = threading.Event()
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
            return compute.run_job(site, JobId(job_id)).status.value

        @DBOS.step()
        def collect(job_id: str) -> None:
            egress.collect(site, JobId(job_id))

        @DBOS.workflow()
        def run_and_collect(job_id: str) -> None:
            if run(job_id) == "succeeded":
                collect(job_id)

        return run_and_collect

    def run(self) -> None:
        """Work until ``stop`` is called; jobs that run are finished or taken up again by the next worker."""
        DBOS.launch()
        DBOS.register_queue(QUEUE, worker_concurrency=JOBS_AT_ONCE, polling_interval_sec=POLL_SECONDS)
        started: set[str] = set()
        next_tick = 0.0
        try:
            while not self._stop.is_set():
                for job_id in compute.waiting_jobs(self.site):
                    if job_id not in started:
                        started.add(job_id)
                        with SetWorkflowID(job_id):
                            DBOS.enqueue_workflow(QUEUE, self._workflow, job_id)
                if time.monotonic() >= next_tick:
                    self.tick()
                    next_tick = time.monotonic() + TICK_SECONDS
                self._stop.wait(POLL_SECONDS)
        finally:
            DBOS.destroy(workflow_completion_timeout_sec=5)

    def tick(self) -> None:
        """Do what falls due: keep the gateways' snapshot fresh, collect sealed usage, then seal all waiting entries."""
        _guarded("snapshot", lambda: delivery.publish_snapshot(self.site))
        _guarded("metering", lambda: metering.collect(self.site))
        _guarded("audit", lambda: audit.integrate(self.site))

    def stop(self) -> None:
        """Ask ``run`` to end soon."""
        self._stop.set()


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
