"""Two installations on one machine, each with its home, its data, its people and its worker: as two organisations have them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from gongshu.access.types import Actor, Role
from gongshu.base.ids import JobId, PartyId
from gongshu.base.site import Site
from gongshu.compute import service as compute
from gongshu.compute import store as compute_store
from gongshu.parties import service as parties
from gongshu.policies.types import ResourcePolicy, Thresholds, Use
from gongshu.scenarios import store as scenarios_store
from gongshu.server.database import ControlDatabase
from gongshu.server.migrate import open_site
from gongshu.server.settings import Settings
from tests import governed_site, samples

ALIVE = "\"状态\" = '存续'"
PASSWORD = "Two-Nodes-2026"
PATIENCE_SECONDS = 90
CITY, BANK = samples.DEVELOPER, PartyId("bank-developer")
OPEN_KEY = governed_site.policy(
    columns=tuple(
        replace(column, uses=column.uses | {Use.REVEAL}) if column.column == "信用代码" else column
        for column in governed_site.policy().columns
    )
)
RELATION, KEY, VALUE = "enterprise", "信用代码", "注册资本"


@dataclass
class Node:
    """One installation: its folder, its developer, and the token that the command line uses."""

    home: Path
    site: Site
    actor: Actor
    token: str
    port: int
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where its joint node listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        return {**os.environ, "GONGSHU_HOME": str(self.home), "GONGSHU_TOKEN": self.token}

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run ``gongshu`` here and return what it printed; its exit code must be ``code``."""
        done = subprocess.run(
            [sys.executable, "-m", "gongshu.server.cli", *arguments], env=self.environment, capture_output=True,
            text=True, timeout=PATIENCE_SECONDS, stdin=subprocess.DEVNULL, cwd=self.home,
        )  # fmt: skip
        assert done.returncode == code or (code and done.returncode), done.stdout + done.stderr
        return done.stdout if not code else done.stderr + done.stdout

    def fingerprint(self) -> str:
        """Return the fingerprint of its certificate."""
        return compute.joint_fingerprint(self.site, self.actor)

    def half(self, **changes: Any) -> compute.JointHalf:
        """Return this node's side of a task."""
        return replace(compute.JointHalf(RELATION, KEY, 1_000, self.address), **changes)

    def status(self, agreement: str) -> dict[str, Any]:
        """Return what ``gongshu joint status`` tells."""
        kept = compute.get_joint(self.site, self.actor, agreement)
        job = None if kept.job is None else compute.get_job(self.site, self.actor, kept.job)
        progress = None if job is None else compute.progress_of(self.site, self.actor, job.id)
        return {"agreement": kept, "job": job, "progress": progress}

    def work(self) -> subprocess.Popen[bytes]:
        """Start a worker."""
        with (self.home / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "gongshu.server.cli", "worker"], env=self.environment, cwd=self.home,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        self.workers.append(worker)
        return worker

    def stop(self) -> None:
        """End its workers."""
        for worker in self.workers:
            worker.kill()
            worker.wait()

    def wait_for(self, job: JobId, seen: Any) -> Any:
        """Wait until ``seen(job, progress)`` is true and return the job."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with self.site.db.reading() as tx:
                found, progress = compute_store.JOBS.get(tx, job), compute_store.PROGRESS.find(tx, job)
            if seen(found, progress):
                return found
            time.sleep(0.05)
        raise AssertionError((self.home / "worker.log").read_text() if (self.home / "worker.log").exists() else "")

    def left(self) -> list[Path]:
        """Return what lies in workplaces and quarantine."""
        return [*self.home.glob("work/*"), *self.home.glob("outputs/*")]


def make_node(
    home: Path, port: int, developer: PartyId, policy: ResourcePolicy, thresholds: Thresholds = samples.THRESHOLDS
) -> Node:
    """Make an installation on which it is the day of ``samples.NOW``, with one registered resource and a developer."""
    home.mkdir()
    offset = (samples.NOW - datetime.now(UTC)).total_seconds()
    (home / "clock.json").write_text(json.dumps({"offset_seconds": offset}))
    site = open_site(Settings(home, "", "127.0.0.1", 0, 0), is_demo=True)
    governed_site.settle(site, policy)
    with site.db.transaction() as tx:
        before = scenarios_store.ENTITLEMENTS.get(tx, governed_site.ENTITLEMENT)
        after = replace(before, developer=developer, thresholds=thresholds)
        scenarios_store.ENTITLEMENTS.save(tx, before, after)
    actor, token = _person(site, developer)
    return Node(home, site, actor, token, port)


def _person(site: Site, party: PartyId) -> tuple[Actor, str]:
    _, first = parties.bootstrap(
        site, name="平台", credit_code="12450000MA00000172", region="4500", login="admin", password=PASSWORD,
        person_name="管理员",
    )  # fmt: skip
    administrator = Actor(first.id, first.party, first.roles, first.name)
    parties.create_party(
        site, administrator, party_id=party, name=f"{party}（模拟）", credit_code="91110000MA0000004X",
        roles={Role.DEVELOPER}, region="4500",
    )  # fmt: skip
    person = parties.create_person(
        site, administrator, party=party, name="开发者", login="developer", password=PASSWORD, roles={Role.DEVELOPER}
    )
    actor = Actor(person.id, party, person.roles, person.name)
    return actor, parties.create_token(site, actor, label="test")[0]


@contextmanager
def two_nodes(
    folder: Path, ports: tuple[int, int], *, policy: ResourcePolicy | None = None,
    thresholds: Thresholds = samples.THRESHOLDS,
) -> Iterator[tuple[Node, Node]]:  # fmt: skip
    """Give a city's node and a bank's; the bank has those enterprises that are in business. Both are always stopped."""
    used = policy or governed_site.policy()
    city = make_node(folder / "city", ports[0], CITY, used, thresholds)
    bank = make_node(folder / "bank", ports[1], BANK, replace(used, row_filter=ALIVE), thresholds)
    with closing(cast(ControlDatabase, city.site.db)), closing(cast(ControlDatabase, bank.site.db)):
        try:
            yield city, bank
        finally:
            city.stop()
            bank.stop()


def agree(
    city: Node, bank: Node, terms: compute.JointTerms, *, city_half: compute.JointHalf, bank_half: compute.JointHalf
) -> tuple[str, JobId, JobId]:
    """Let the bank propose and the city answer; return the agreement's id and the two jobs."""
    proposed = compute.propose_joint(bank.site, bank.actor, governed_site.ENTITLEMENT, terms, bank_half)
    letter = compute.joint_letter(bank.site, bank.actor, proposed.id)
    compute.answer_joint(
        city.site, city.actor, governed_site.ENTITLEMENT, letter, bank.fingerprint(), city_half
    )  # fmt: skip
    answer = compute.joint_letter(city.site, city.actor, proposed.id)
    _, ours = compute.confirm_joint(bank.site, bank.actor, answer, city.fingerprint())
    confirmation = compute.joint_letter(bank.site, bank.actor, proposed.id)
    _, theirs = compute.confirm_joint(city.site, city.actor, confirmation, bank.fingerprint())
    return proposed.id, ours.id, theirs.id


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process as a power failure would."""
    process.send_signal(signal.SIGKILL)
    process.wait()
