"""Joint computing: running this party's side of an agreed task, as the job that it is.

The peer is another installation. Nothing of ours leaves but what the protocol shows; what the node tells stays in this
job's quarantine, like every output. The agreement is spent, on record, before our node says its first word to the peer's:
a worker that is killed later finds it spent and ends the job, and the peer's node finds that nobody answers.
"""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gongshu.access.types import SYSTEM
from gongshu.audit import service as audit
from gongshu.base.decisions import Denied, Permitted, Reason
from gongshu.base.ids import PartyId
from gongshu.base.site import Site
from gongshu.catalog import service as catalog
from gongshu.catalog.types import DataType
from gongshu.compute import store
from gongshu.compute.adapters import folders, projections
from gongshu.compute.adapters.joint import identity, keys, party
from gongshu.compute.adapters.joint.environment import default_folder, find_environment
from gongshu.compute.adapters.joint.party import Certificates, Progress, Station
from gongshu.compute.rules import agreements, jobs, joint
from gongshu.compute.rules import projections as written
from gongshu.compute.rules.scopes import RAW_PREFIX
from gongshu.compute.service.governing import Governed
from gongshu.compute.types import (
    Job,
    JobProgress,
    JobReport,
    JointKind,
    JointResult,
    JointSide,
    JointTask,
    OutputFile,
    Projection,
    Relation,
)

ALIAS = "data"
PARQUET, PLAIN = "result.parquet", "result.csv"
IDENTITY_SECRET = "joint-node"  # noqa: S105 - the name of a secret
PREPARING = "preparing"
KEPT = "hashed.parquet"
PROGRESS_SECONDS = 0.5
NO_MASK_KEY = b""


class RunStopped(Exception):  # noqa: N818 - a decision, not an error
    """The job was stopped while it ran: its grant has ended."""


@dataclass(frozen=True)
class JointDone:
    """How a run ended for this side: files and report, or the reasons why there are none."""

    result: JointResult | None = None
    reasons: tuple[Reason, ...] = ()
    files: tuple[OutputFile, ...] = ()
    report: JobReport | None = None
    defences: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Own:
    """Our side of a task and the rows behind it."""

    task: JointTask
    number: int
    side: JointSide
    recipe: projections.Recipe
    key_type: DataType

    @property
    def is_plain(self) -> bool:
        """Whether the engine may make the key file: texts without values."""
        return not self.side.value_column and self.key_type is self.task.key_type is DataType.TEXT

    @property
    def key_name(self) -> str:
        """The name that the key has in the projection."""
        return f"{RAW_PREFIX}{self.side.key_column}"

    def hashing(self) -> keys.Hashing:
        """Return how the engine makes hashes."""
        record = joint.recorder(self.task, self.number)

        def slowly(key: str) -> bytes | None:
            made = record(key, None)
            return None if made is None else made[0]

        return keys.Hashing(joint.key_hash_sql(self.task.nonce, "k"), joint.PLAIN_KEY, slowly)

    def records(self) -> Iterator[tuple[Any, tuple[bytes, int]]]:
        """Give the key as stored with its hash and value, row by row."""
        record = joint.recorder(self.task, self.number)
        for batch in projections.read(self.recipe):
            for *value, key in batch:
                made = record(key, value[0] if value else None)
                if made is not None:
                    yield key, made


class _Telling:
    """Writes down how far the job is, not too often; finds out on the way that it was stopped."""

    def __init__(self, site: Site, job: Job) -> None:
        self._site, self._job = site, job
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, progress: Progress) -> None:
        phase, at = self._last
        now = time.monotonic()
        if progress.phase == phase and now < at + PROGRESS_SECONDS:
            return
        self._last = (progress.phase, now)
        made = JobProgress(self._job.id, progress.percent, progress.phase, self._site.now())
        with self._site.db.transaction() as tx:
            if jobs.is_over(store.JOBS.get(tx, self._job.id)):
                raise RunStopped
            store.put_progress(tx, made)


def run_joint(site: Site, job: Job, governed: Governed, place: Path) -> JointDone:
    """Run our side of the agreement behind ``job`` in ``place`` (see ``folders.workplace``); files go to its ``outbox``.

    Blocks until the peer's node has come and both are done, or until a limit of the task passes. A failure leaves the
    outbox empty.
    """
    clock = time.monotonic()
    task = job.plan.joint
    if task is None:
        raise ValueError("the job is no joint one")
    with site.db.reading() as tx:
        agreement = store.AGREEMENTS.get(tx, task.id)
    if agreement.status is agreements.SPENT:
        return JointDone(reasons=(joint.failure(task, "joint-interrupted"),))
    number = agreement.number
    own_name = task.sides[number].party
    reasons = decide_own(task, own_name, governed) + joint.decide_task(task, site.now()).reasons
    if reasons:
        return JointDone(reasons=reasons)
    environment = find_environment(default_folder())
    if environment is None or shutil.which("bwrap") is None:
        return JointDone(reasons=(joint.failure(task, "joint-environment-missing"),))
    tell = _Telling(site, job)
    tell(Progress(0, PREPARING))
    own = _own(site, task, number, governed)
    file = place / "keys.csv"
    try:
        _write_keys(own, file)
    except (keys.KeysUnfit, ValueError):
        return JointDone(reasons=(joint.failure(task, "joint-input-unfit"),))
    run = party.PartyRun(
        document=task.document, side=number, keys=file, outbox=place / "told", scratch=place / "scratch",
        connect_seconds=task.limits.connect_seconds, runtime_seconds=task.limits.runtime_seconds,
        memory_bytes_max=job.plan.limits.memory_bytes_max,
    )  # fmt: skip
    certificates = _certificates(site, task, number, place)
    station = Station(environment, own.side.address, task.sides[1 - number].address, certificates)
    told = party.run_party(run, station, tell, lambda: _spend(site, job))
    outcome = joint.decide_outcome(
        task, own_name, code=told.code, passes=told.passes, count=told.count, total=told.total,
        is_signed=told.is_signed,
    )  # fmt: skip
    if isinstance(outcome, Denied):
        return JointDone(reasons=outcome.reasons, defences=told.defences)
    files = _write(own, outcome.value, place)
    return JointDone(outcome.value, (), files, _report(task, outcome.value, files, clock, told.defences), told.defences)


def decide_own(task: JointTask, own_name: PartyId, governed: Governed) -> tuple[Reason, ...]:
    """Return what our entitlement has against the task. Asked when agreeing and again when running."""
    return joint.decide_side(
        task, own_name, governed.entitlement.ref, governed.thresholds, governed.relations
    ).reasons  # fmt: skip


def _spend(site: Site, job: Job) -> bool:
    """Write down that the peer's node has come: the agreement is good for this meeting and no other."""
    task = job.plan.joint
    with site.db.transaction() as tx:
        agreement = store.AGREEMENTS.get(tx, task.id if task else "")
        decision = agreements.decide_joint_step(agreement, "meet")
        audit.record(
            tx, site, actor=SYSTEM, action="joint.meet", subject=agreement.ref, decision=decision, origins=(job.ref,)
        )
        if isinstance(decision, Permitted):
            store.AGREEMENTS.save(tx, agreement, replace(decision.value, met_at=site.now()))
    return isinstance(decision, Permitted)


def _certificates(site: Site, task: JointTask, number: int, place: Path) -> Certificates:
    """Write our key and both certificates of the agreement where the node can read them; gone with the workplace."""
    folder = place / "identity"
    folder.mkdir(mode=0o700)
    own, peer, key = folder / "own.pem", folder / "peer.pem", folder / "own.key"
    own.write_text(task.sides[number].certificate, encoding="ascii")
    peer.write_text(task.sides[1 - number].certificate, encoding="ascii")
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(identity.private_key(site.keys.secret(IDENTITY_SECRET)))
    return Certificates(own, key, peer)


def _own(site: Site, task: JointTask, number: int, governed: Governed) -> _Own:
    side = task.sides[number]
    relation: Relation = next(one for one in governed.relations if one.name == side.relation)
    values = (side.value_column,) if side.value_column else ()
    projection = Projection(relation.name, relation.resource, values, raws=(side.key_column,))
    # A value column with a mask is refused, so no key of masks is needed.
    select = written.select_list(projection, relation, ALIAS, key=b"", mask_key=NO_MASK_KEY)
    condition = written.row_condition(relation, ALIAS).value_or_raise()
    sources = catalog.version_files(site, governed.versions[relation.name])
    key_type = next(column.data_type for column in relation.columns if column.name == side.key_column)
    return _Own(task, number, side, projections.Recipe(sources, ALIAS, select, condition), key_type)


def _write_keys(own: _Own, file: Path) -> None:
    side = own.side
    if own.is_plain:
        kept = file.with_name(KEPT)
        keys.write_plain_keys(
            own.recipe, own.key_name, own.hashing(), file, kept, rows_max=side.rows_max, is_padded=side.is_padded
        )
        return
    keys.write_keys(
        (made for _, made in own.records()), file, has_values=bool(side.value_column), rows_max=side.rows_max,
        is_padded=side.is_padded,
    )  # fmt: skip


def _write(own: _Own, result: JointResult, place: Path) -> tuple[OutputFile, ...]:
    """Write what this side learns: its own matching keys as they are stored, or one row with count and sum."""
    if not result.passes:
        return ()
    outbox = place / "outbox"
    outbox.mkdir(mode=0o700, exist_ok=True)
    parquet, plain = outbox / PARQUET, outbox / PLAIN
    matched = place / "told" / party.MATCHED
    if own.task.kind is JointKind.INTERSECTION and own.is_plain:
        rows = keys.write_matched(place / KEPT, matched, own.side.key_column, parquet, plain)
        return folders.describe(outbox, {PARQUET: rows, PLAIN: rows})
    if own.task.kind is JointKind.INTERSECTION:
        found = keys.read_matched(matched)
        shown = {str(key) for key, (hashed, _) in own.records() if hashed in found}
        rows = keys.write_result({own.side.key_column: "VARCHAR"}, ((key,) for key in sorted(shown)), parquet, plain)
    elif own.task.kind is JointKind.COUNT:
        rows = keys.write_result({"units": "BIGINT"}, ((str(result.count),),), parquet, plain)
    else:
        columns = {"units": "BIGINT", "total": "DECIMAL(38, 6)"}
        rows = keys.write_result(columns, ((str(result.count), str(result.total)),), parquet, plain)
    return folders.describe(outbox, {PARQUET: rows, PLAIN: rows})


def _report(
    task: JointTask, result: JointResult, files: tuple[OutputFile, ...], clock: float, defences: tuple[str, ...]
) -> JobReport:
    return jobs.report_of(
        rows=files[0].rows if files else 0, groups=1 if result.passes is False else 0, units=0,
        units_min=task.thresholds.units_min, runtime_ms=round((time.monotonic() - clock) * 1000), defences=defences,
        negative=result.needs_review,
    )  # fmt: skip
