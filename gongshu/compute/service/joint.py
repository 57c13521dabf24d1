"""Joint computing: agreeing on a task under one's own entitlement, and running this party's side of it.

The peer is another installation. Nothing of ours leaves but what the protocol shows; what the node tells stays in this
job's quarantine, like every output.
"""

import ipaddress
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import Decision, Denied, Permitted, Reason
from gongshu.base.ids import EntitlementId, PartyId
from gongshu.base.site import Site, Transaction
from gongshu.catalog import service as catalog
from gongshu.compute.adapters import folders, projections
from gongshu.compute.adapters.joint import keys, party
from gongshu.compute.adapters.joint.environment import default_folder, find_environment
from gongshu.compute.adapters.joint.party import Certificates, Progress, Station
from gongshu.compute.rules import jobs, joint
from gongshu.compute.rules import projections as written
from gongshu.compute.rules.joint import JointKind, JointLimits, JointResult, JointSide, JointTask
from gongshu.compute.service.governing import Governed, find_entitlement_in, govern_in, unknown
from gongshu.compute.types import JobReport, OutputFile, Projection, Relation

__all__ = [
    "Certificates", "JointDone", "JointKind", "JointLimits", "JointMeeting", "JointResult", "JointSide", "JointTask",
    "Progress", "agree_joint", "run_joint",
]  # fmt: skip

ALIAS = "data"
PARQUET, PLAIN = "result.parquet", "result.csv"
MEMORY_BYTES_MAX = 6 << 30
NO_MASK_KEY = b""


@dataclass(frozen=True)
class JointMeeting:
    """Where this installation's node listens and where the peer's is; ``host:port``. Certificates beyond this machine."""

    listen: str
    peer: str
    certificates: Certificates | None = None
    environment: Path | None = None


@dataclass(frozen=True)
class JointDone:
    """How a run ended for this side: files and report, or the reasons why there are none."""

    result: JointResult | None = None
    reasons: tuple[Reason, ...] = ()
    files: tuple[OutputFile, ...] = ()
    report: JobReport | None = None
    defences: tuple[str, ...] = ()


def agree_joint(
    site: Site, actor: Actor, entitlement_id: EntitlementId, task: JointTask, peer_digest: str = ""
) -> JointTask:
    """Agree to a task under one's own entitlement; audited, also when refused.

    ``peer_digest`` is what the other side agreed to; the proposer, who is first, has none. The digest of what is returned
    goes to the other side.
    """
    with site.db.transaction() as tx:
        decision = access.guard(
            actor, Permission.DEVELOP_JOB_SUBMIT, lambda: _decide(tx, site, actor, entitlement_id, task, peer_digest)
        )
        origins = tuple(side.entitlement for side in task.sides if side.party == actor.party)
        audit.record(tx, site, actor=actor, action="joint.agree", subject=task.ref, decision=decision, origins=origins)
    return decision.value_or_raise()


def _decide(  # noqa: PLR0917 - what a decision looks at
    tx: Transaction, site: Site, actor: Actor, entitlement_id: EntitlementId, task: JointTask, peer_digest: str
) -> Decision[JointTask]:
    entitlement = find_entitlement_in(tx, actor, entitlement_id)
    if entitlement is None:
        return unknown(entitlement_id)
    governed = govern_in(tx, site, entitlement)
    own = governed if isinstance(governed, Denied) else decide_own(task, actor.party, governed.value)
    made = joint.decide_task(task, site.now())
    same = joint.decide_digest(task, peer_digest or task.digest)
    reasons = own.reasons + made.reasons + same.reasons
    return Denied(reasons) if reasons else Permitted(task)


def decide_own(task: JointTask, developer: PartyId, governed: Governed) -> Decision[JointTask]:
    """Ask what ``developer``'s entitlement allows of the task. Asked when agreeing and again when running."""
    return joint.decide_side(task, developer, governed.entitlement.ref, governed.thresholds, governed.relations)


# --------------------------------------------------------------------------------------------------------- running


@dataclass(frozen=True)
class _Own:
    """Our side of a task and the rows behind it."""

    task: JointTask
    number: int
    side: JointSide
    recipe: projections.Recipe

    def records(self) -> Iterator[tuple[Any, tuple[bytes, int]]]:
        """Give the key as stored with its hash and value, row by row."""
        record = joint.recorder(self.task, self.number)
        for batch in projections.read(self.recipe):
            for *value, key in batch:
                made = record(key, value[0] if value else None)
                if made is not None:
                    yield key, made


def run_joint(  # noqa: PLR0917 - task, side, rows, place, peer
    site: Site, task: JointTask, developer: PartyId, governed: Governed, place: Path, meeting: JointMeeting,
    tell: Callable[[Progress], None] = lambda _: None,
) -> JointDone:  # fmt: skip
    """Run ``developer``'s side of an agreed task in ``place`` (see ``folders.workplace``); files go to its ``outbox``.

    Blocks until the peer's node has come and both are done, or until a limit of the task passes. Progress is told in
    percent. A failure leaves the outbox empty.
    """
    clock = time.monotonic()
    number = task.number_of(developer)
    reasons = (
        decide_own(task, developer, governed).reasons
        + joint.decide_task(task, site.now()).reasons
        + joint.decide_transport(
            is_loopback=_is_loopback(meeting), has_certificates=meeting.certificates is not None
        ).reasons
    )
    if reasons or number is None:
        return JointDone(reasons=reasons)
    environment = find_environment(meeting.environment or default_folder())
    if environment is None:
        return JointDone(reasons=(joint.failure(task, "joint-environment-missing"),))
    own = _own(site, task, number, governed)
    file = place / "keys.csv"
    try:
        keys.write_keys(
            (made for _, made in own.records()), file,
            has_values=bool(own.side.value_column), rows_max=own.side.rows_max,
        )  # fmt: skip
    except (keys.KeysUnfit, ValueError):
        return JointDone(reasons=(joint.failure(task, "joint-input-unfit"),))
    run = party.PartyRun(
        document=task.document, side=number, keys=file, outbox=place / "told", scratch=place / "scratch",
        connect_seconds=task.limits.connect_seconds, runtime_seconds=task.limits.runtime_seconds,
        memory_bytes_max=MEMORY_BYTES_MAX,
    )  # fmt: skip
    station = Station(environment, meeting.listen, meeting.peer, meeting.certificates)
    told = party.run_party(run, station, tell)
    outcome = joint.decide_outcome(
        task, developer, code=told.code, passes=told.passes, count=told.count, total=told.total,
        is_signed=told.is_signed,
    )  # fmt: skip
    if isinstance(outcome, Denied):
        return JointDone(reasons=outcome.reasons, defences=told.defences)
    files = _write(own, outcome.value, place)
    return JointDone(outcome.value, (), files, _report(task, outcome.value, files, clock, told.defences), told.defences)


def _is_loopback(meeting: JointMeeting) -> bool:
    """Whether both ends are on this machine. A name counts as elsewhere."""
    hosts = [address.rpartition(":")[0] for address in (meeting.listen, meeting.peer)]
    try:
        return all(ipaddress.ip_address(host).is_loopback for host in hosts)
    except ValueError:
        return False


def _own(site: Site, task: JointTask, number: int, governed: Governed) -> _Own:
    side = task.sides[number]
    relation: Relation = next(one for one in governed.relations if one.name == side.relation)
    values = (side.value_column,) if side.value_column else ()
    projection = Projection(relation.name, relation.resource, values, raws=(side.key_column,))
    # A value column with a mask is refused, so no key of masks is needed.
    select = written.select_list(projection, relation, ALIAS, key=b"", mask_key=NO_MASK_KEY)
    condition = written.row_condition(relation, ALIAS).value_or_raise()
    sources = catalog.version_files(site, governed.versions[relation.name])
    return _Own(task, number, side, projections.Recipe(sources, ALIAS, select, condition))


def _write(own: _Own, result: JointResult, place: Path) -> tuple[OutputFile, ...]:
    """Write what this side learns: its own matching keys as they are stored, or one row with count and sum."""
    if not result.passes:
        return ()
    outbox = place / "outbox"
    outbox.mkdir(mode=0o700, exist_ok=True)
    if own.task.kind is JointKind.SUMS:
        columns = {"units": "BIGINT", "total": "DECIMAL(38, 6)"}
        lines: list[tuple[str, ...]] = [(str(result.count), str(result.total))]
    else:
        matched = keys.read_matched(place / "told" / party.MATCHED)
        found = {str(key) for key, (hashed, _) in own.records() if hashed in matched}
        columns, lines = {own.side.key_column: "VARCHAR"}, [(key,) for key in sorted(found)]
    rows = keys.write_result(columns, lines, outbox / PARQUET, outbox / PLAIN)
    return folders.describe(outbox, {PARQUET: rows, PLAIN: rows})


def _report(
    task: JointTask, result: JointResult, files: tuple[OutputFile, ...], clock: float, defences: tuple[str, ...]
) -> JobReport:
    return jobs.report_of(
        rows=files[0].rows if files else 0, groups=1 if result.passes is False else 0, units=0,
        units_min=task.thresholds.units_min, runtime_ms=round((time.monotonic() - clock) * 1000), defences=defences,
        negative=result.needs_review,
    )  # fmt: skip
