"""Python jobs: submitting a program to be run on real data, and running it on synthetic rows first, unchanged."""

from dataclasses import dataclass
from pathlib import Path

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import Decision, Denied, Permitted, Reason, decide
from gongshu.base.digest import sha256_hex
from gongshu.base.ids import EntitlementId
from gongshu.base.site import Site, Transaction
from gongshu.compute import store
from gongshu.compute.adapters import folders, programs, projections
from gongshu.compute.rules import programs as rules
from gongshu.compute.service.governing import Governed, find_entitlement_in, govern_in, named, unknown
from gongshu.compute.service.submitting import inputs_of, submit
from gongshu.compute.service.trying import SHOWN_ROWS_MAX, Sketches, sketches_in, write_synthetic
from gongshu.compute.types import (
    Job,
    JobPlan,
    Program,
    ProgramInput,
    ProgramLimits,
    ProgramTrial,
    Projection,
    TrialTable,
)
from gongshu.policies.types import ResourcePolicy
from gongshu.scenarios.types import Entitlement

READABLE = (".parquet", ".csv")


@dataclass(frozen=True)
class Submission:
    """A program as its developer hands it in: code, what it reads, which files it will write."""

    code: str
    inputs: tuple[ProgramInput, ...]
    outputs: tuple[str, ...]


def limits_of(site: Site) -> ProgramLimits:
    """Return the limits of Python jobs in force today."""
    names = ProgramLimits.__dataclass_fields__
    return ProgramLimits(**{name: site.parameters.number(f"compute.python.{name}", site.today()) for name in names})


def program_columns(policy: ResourcePolicy) -> dict[str, str]:
    """Return in which form a program gets each column: ``value``, ``pseudonym``, or ``""`` for not at all."""
    return {column.column: rules.column_form(column.uses) for column in policy.columns}


def _unavailable() -> tuple[Reason, ...]:
    """Return why this machine runs no Python jobs; empty when it does."""
    reasons = []
    if not programs.has_namespaces():
        reasons.append(rules.PROGRAM_NO_NAMESPACES.because())
    if programs.find_job_image() is None:
        reasons.append(rules.PROGRAM_IMAGE_MISSING.because())
    return tuple(reasons)


def _decide(site: Site, governed: Governed, given: Submission) -> Decision[tuple[Projection, ...]]:
    decision = rules.decide_program(governed.relations, given.code, given.inputs, given.outputs, limits_of(site))
    reasons = decision.reasons + _unavailable()
    return Denied(reasons) if reasons else decision


def submit_python(site: Site, actor: Actor, entitlement_id: EntitlementId, title: str, given: Submission) -> Job:
    """Submit a program to be run on real data: code, inputs and environment are frozen by digest.

    Refused with every reason: a column that may not be computed of, an output without a name, too many jobs in a day, a
    machine without namespaces or without the environment.
    """
    limits = limits_of(site)

    def plan(governed: Governed) -> Decision[JobPlan]:
        decision = _decide(site, governed, given)
        image = programs.find_job_image()
        if isinstance(decision, Denied) or image is None:
            return Denied(decision.reasons)
        program = Program(
            given.inputs, given.outputs, decision.value, image.digest, limits.printed_bytes_max, limits.tick_seconds
        )
        inputs = inputs_of(governed, tuple(one.relation for one in given.inputs))
        frozen = rules.plan_program(
            governed.entitlement.ref, given.code, program, inputs, governed.thresholds, limits
        )  # fmt: skip
        return Permitted(frozen)

    return submit(site, actor, entitlement_id, title, plan, lambda tx, found: _count(tx, site, found, limits))


def _count(tx: Transaction, site: Site, entitlement: Entitlement, limits: ProgramLimits) -> Decision[Entitlement]:
    recent = rules.count_recent(store.JOBS.all(tx, entitlement=entitlement.id), site.now())
    is_full = recent >= limits.jobs_per_day_max
    return decide(entitlement, rules.PROGRAM_JOBS_USED_UP.because(limit=limits.jobs_per_day_max) if is_full else None)


def try_python(site: Site, actor: Actor, entitlement_id: EntitlementId, given: Submission) -> ProgramTrial:
    """Run a program on synthetic rows in the same kind of cell; all that it printed and wrote may be seen.

    A program that is refused is audited and raised. One that fails comes back with the code and what it printed.
    """
    with site.db.transaction() as tx:
        entitlement = find_entitlement_in(tx, actor, entitlement_id)
        found: list[Governed] = []

        def case() -> Decision[tuple[Projection, ...]]:
            if entitlement is None:
                return unknown(entitlement_id)
            governed = govern_in(tx, site, entitlement)
            if isinstance(governed, Denied):
                return governed
            found.append(governed.value)
            return _decide(site, governed.value, given)

        decision = access.guard(actor, Permission.DEVELOP_SYNTHETIC_READ, case)
        audit.record(
            tx, site, actor=actor, action="python.try", subject=named(entitlement_id, entitlement), decision=decision,
            facts={"code_digest": sha256_hex(given.code.encode())},
        )  # fmt: skip
        sketches = sketches_in(tx, found[0]) if found else {}
    wanted = decision.value_or_raise()
    with folders.workplace(site.home, site.ids.make("trial")) as place:
        return _try(site, given, found[0], wanted, sketches, place)


def _try(  # noqa: PLR0917 - what a trial is made of
    site: Site, given: Submission, governed: Governed, wanted: tuple[Projection, ...], sketches: Sketches, place: Path
) -> ProgramTrial:
    image, limits = programs.find_job_image(), limits_of(site)
    if image is None:
        return Denied(_unavailable()).value_or_raise()
    relations = write_synthetic(site, governed, wanted, sketches, place)
    outbox = place / "outbox"
    outcome = programs.run_program(programs.ProgramRun(
        image, given.code, relations, given.outputs, rules.trial_limits(limits), limits.printed_bytes_max, place, outbox
    ))  # fmt: skip
    if outcome.code:
        where = f" ({outcome.output})" if outcome.output else ""
        return ProgramTrial(outcome.code + where, outcome.printed)
    tables = [name for name in given.outputs if name.endswith(READABLE)]
    texts = [name for name in given.outputs if name.endswith(".txt")]
    return ProgramTrial(
        "", outcome.printed, tuple(_table(outbox, name) for name in tables),
        tuple((name, (outbox / name).read_text(encoding="utf-8")) for name in texts), outcome.models,
    )  # fmt: skip


def _table(outbox: Path, name: str) -> TrialTable:
    columns, rows = projections.read_table(outbox / name, SHOWN_ROWS_MAX)
    return TrialTable(name, columns, tuple(rows))
