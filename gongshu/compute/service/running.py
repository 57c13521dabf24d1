"""Running a job: projections are written, the engine runs in its own process, the files go into quarantine.

Safe to kill at any moment. Whatever is not recorded as finished is done again from the frozen plan; whatever is recorded
is not touched; a folder that nobody recorded is replaced.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from gongshu.access.types import SYSTEM
from gongshu.audit import service as audit
from gongshu.base.decisions import Decision, Denied, Permitted, Refused
from gongshu.base.ids import JobId
from gongshu.base.site import Site, Transaction
from gongshu.catalog import service as catalog
from gongshu.compute import store
from gongshu.compute.adapters import artifacts, folders, programs, projections, sandbox
from gongshu.compute.adapters.worn import Worn
from gongshu.compute.rules import jobs, verification
from gongshu.compute.rules import programs as program_rules
from gongshu.compute.rules import projections as written
from gongshu.compute.service.clusters import run_on_spark
from gongshu.compute.service.governing import Governed, govern_in
from gongshu.compute.service.joint import run_joint
from gongshu.compute.service.submitting import lookup_projection, projection_of
from gongshu.compute.service.tagging import make_lookup
from gongshu.compute.service.weighing import LEDGER_LINE, earlier_sets, keep_sets, run_weighed, unit_key
from gongshu.compute.types import Engine, GovernedQuery, Job, JobKind, JobReport, OutputFile, Projection, Relation
from gongshu.scenarios import service as scenarios

ALIAS = "data"
RESULT_FILES = ("result.parquet", "result.csv")
ARTIFACT_FILE = "verification.lmdb"
JOB_SECRET, MASK_SECRET, VERIFICATION_SECRET = "compute-jobs", "compute-masks", "verification"


@dataclass(frozen=True)
class Done:
    """What a run produced, not yet recorded; or the code of why it did not."""

    failure: str = ""
    files: tuple[OutputFile, ...] = ()
    report: JobReport | None = None
    defences: tuple[str, ...] = ()


def run_job(site: Site, job_id: JobId) -> Job:
    """Run a submitted job and return it as it ended. Called by the worker, as the platform itself.

    Asks entitlement and grant again, before and after. Calling it again changes nothing once the job is over.
    """
    started = _start(site, job_id)
    if isinstance(started, Job):
        folders.remove(folders.kept_folder(site.home, job_id))
        return started
    job, governed = started
    clock = time.monotonic()
    folders.sweep(site.home, job.id)
    ended: Job | None = None
    while ended is None:
        with folders.workplace(site.home, f"{job.id}-{site.ids.make('run')}") as place:
            beside = earlier_sets(site, job)
            done = _execute(site, job, governed, place, clock)
            ended = _finish(site, job, done, place, beside)
    folders.remove(folders.kept_folder(site.home, job_id))
    return ended


def _start(site: Site, job_id: JobId) -> Job | tuple[Job, Governed]:
    """Mark the job as running; or return it when it is over, or may not run any more."""
    with site.db.transaction() as tx:
        job = store.JOBS.get(tx, job_id)
        if jobs.is_over(job):
            return job
        governed = _same_inputs(job, govern_in(tx, site, scenarios.entitlement_in(tx, job.entitlement)))
        if isinstance(governed, Denied):
            return _stop_in(tx, site, job, governed)
        if job.status is jobs.RUNNING:
            return job, governed.value
        running = jobs.decide_job_step(job, "run", site.now())
        audit.record(tx, site, actor=SYSTEM, action="job.run", subject=job.ref, decision=running)
        store.JOBS.save(tx, job, running.value_or_raise())
        return running.value_or_raise(), governed.value


def _same_inputs(job: Job, governed: Decision[Governed]) -> Decision[Governed]:
    """Deny when the registered versions are no longer those that the plan froze."""
    if isinstance(governed, Denied):
        return governed
    present = {version.ref for version in governed.value.versions.values()}
    changed = tuple(jobs.INPUT_CHANGED.because(version=ref.id) for ref in job.plan.inputs if ref not in present)
    return Denied(changed) if changed else governed


def _stop_in(tx: Transaction, site: Site, job: Job, refusal: Denied) -> Job:
    stopped = jobs.decide_job_step(job, "stop", site.now(), refusal.reasons[0].code).value_or_raise()
    audit.record(
        tx, site, actor=SYSTEM, action="job.stop", subject=job.ref, decision=refusal, origins=(job.plan.entitlement,)
    )
    store.JOBS.save(tx, job, stopped)
    return stopped


# ------------------------------------------------------------------------------------------------------- execution


def _execute(site: Site, job: Job, governed: Governed, place: Path, clock: float) -> Done:
    try:
        if job.plan.kind is JobKind.VERIFICATION:
            return _build_artifact(site, job, governed, place, clock)
        if job.plan.kind is JobKind.LOOKUP:
            return _build_lookup(site, job, governed, place, clock)
        if job.plan.kind is JobKind.JOINT:
            return _run_joint(site, job, governed, place)
        if job.plan.kind is JobKind.PYTHON:
            return _run_python(site, job, governed, place, clock)
        return _run_query(site, job, governed, place, clock)
    except Refused as refused:
        return Done(failure=refused.reasons[0].code)
    except Exception as error:  # noqa: BLE001 - a message may hold a value: the type alone is kept
        return Done(failure=f"internal-{type(error).__name__.lower()}"[:80])


def recipe(
    site: Site, relation: Relation, projection: Projection, sources: tuple[Path, ...], job_name: str
) -> projections.Recipe:
    """Return how a projection is made; a row filter that cannot be read is refused."""
    key = verification.artifact_key(site.keys.secret(JOB_SECRET), job_name.encode())
    select = written.select_list(
        projection, relation, ALIAS, key=key, mask_key=site.keys.secret(MASK_SECRET), unit_key=unit_key(site)
    )
    condition = written.row_condition(relation, ALIAS).value_or_raise()
    secret = site.keys.secret(MASK_SECRET)
    worn = tuple(Worn(*one, secret) for one in written.worn_columns(projection, relation, ALIAS))
    shelf = folders.worn_folder(site.home, sources[0])
    return projections.Recipe(sources, ALIAS, select, condition, worn, shelf, projection.has_order)


def _run_query(site: Site, job: Job, governed: Governed, place: Path, clock: float) -> Done:
    query = job.plan.query
    if query is None:
        return Done(failure="plan-unexpected")
    relations = {relation.name: relation for relation in governed.relations}
    recipes: dict[str, projections.Recipe] = {}
    for projection in query.projections:
        sources = catalog.version_files(site, governed.versions[projection.relation])
        recipes[projection.relation] = recipe(site, relations[projection.relation], projection, sources, job.id)
    if job.plan.engine is Engine.SPARK:
        outcome = run_on_spark(site, job, query, governed.relations, recipes, place, RESULT_FILES)
    else:
        outcome = _run_here(site, job, query, recipes, place)
    if outcome.code:
        return Done(failure=outcome.code, defences=outcome.defences)
    report = jobs.report_of(
        rows=outcome.rows, groups=outcome.groups_withheld, units=outcome.units_withheld,
        units_min=job.plan.thresholds.units_min, runtime_ms=round((time.monotonic() - clock) * 1000),
        defences=outcome.defences, negative=outcome.has_negative, has_groups=bool(query.stages),
        members=outcome.members_withheld, of_members=outcome.members,
    )  # fmt: skip
    files = folders.describe(place / "outbox", dict.fromkeys(RESULT_FILES, outcome.rows))
    return Done(files=files, report=report, defences=outcome.defences)


def _run_here(
    site: Site, job: Job, query: GovernedQuery, recipes: dict[str, projections.Recipe], place: Path
) -> sandbox.Outcome:
    """Run a query in the sandboxed engine on this machine."""
    given = {relation: place / "projections" / f"p{index}.parquet" for index, relation in enumerate(recipes)}
    for relation, made in recipes.items():
        projections.write(made, given[relation])
    run = sandbox.Run(given, place / "outbox", RESULT_FILES, job.plan.limits, written.PLAN_OPERATORS)
    if query.price is None:
        return run_weighed(site, job, query, run, place)
    with folders.kept(site.home, job.id) as kept:
        return sandbox.run_engine(query, replace(run, kept=kept))


def _run_python(site: Site, job: Job, governed: Governed, place: Path, clock: float) -> Done:
    """Run a program, and end at a whole tick: how long it took could otherwise tell what it saw."""
    program, image = job.plan.program, programs.find_job_image()
    if program is None:
        return Done(failure="plan-unexpected")
    if image is None or image.digest != program.image or not programs.has_namespaces():
        return Done(failure="image-changed" if image is not None and programs.has_namespaces() else "cell-unavailable")
    relations = {relation.name: relation for relation in governed.relations}
    given = {p.relation: place / "projections" / f"p{i}.parquet" for i, p in enumerate(program.projections)}
    for projection in program.projections:
        sources = catalog.version_files(site, governed.versions[projection.relation])
        made = recipe(site, relations[projection.relation], projection, sources, job.id)
        projections.write(made, given[projection.relation])
    outcome = programs.run_program(programs.ProgramRun(
        image, job.plan.code, given, program.outputs, job.plan.limits, program.printed_bytes_max, place, place / "outbox"
    ))  # fmt: skip
    time.sleep(program_rules.seconds_to_wait(time.monotonic() - clock, program.tick_seconds))
    if outcome.code:
        return Done(failure=outcome.code, defences=outcome.defences)
    rows = dict(outcome.rows)
    report = program_rules.report_of_program(
        sum(rows.values()), time.monotonic() - clock, program.tick_seconds, outcome.defences, outcome.models
    )
    return Done(files=folders.describe(place / "outbox", rows), report=report, defences=outcome.defences)


def _build_artifact(site: Site, job: Job, governed: Governed, place: Path, clock: float) -> Done:
    definition = job.plan.verification
    if definition is None:
        return Done(failure="plan-unexpected")
    relation = next(r for r in governed.relations if r.name == definition.relation)
    sources = catalog.version_files(site, governed.versions[relation.name])
    made = recipe(site, relation, projection_of(definition, relation), sources, job.id)
    secret = site.keys.secret(VERIFICATION_SECRET)
    salt = verification.salt_of(secret, job.plan.digest)
    key = verification.artifact_key(secret, salt)
    records = (
        record
        for batch in projections.read(made)
        for row in batch
        if (record := verification.record_of(definition, key, row)) is not None
    )
    header = verification.header_of(definition, salt)
    entries = artifacts.build(records, header, place, place / "outbox" / ARTIFACT_FILE)
    defences = ("keyed-hashes",)
    report = jobs.report_of(
        rows=entries - 1, groups=0, units=0, units_min=job.plan.thresholds.units_min,
        runtime_ms=round((time.monotonic() - clock) * 1000), defences=defences, negative=False,
    )  # fmt: skip
    return Done(files=folders.describe(place / "outbox", {ARTIFACT_FILE: entries}), report=report, defences=defences)


def _build_lookup(site: Site, job: Job, governed: Governed, place: Path, clock: float) -> Done:
    definition = job.plan.lookup
    if definition is None:
        return Done(failure="plan-unexpected")
    relation = next(r for r in governed.relations if r.name == definition.relation)
    sources = catalog.version_files(site, governed.versions[relation.name])
    made = recipe(site, relation, lookup_projection(definition, relation), sources, job.id)
    units_min = job.plan.thresholds.units_min
    tagged = make_lookup(definition, site.keys, job.plan.digest, projections.read(made), units_min, place)
    defences = ("keyed-hashes", "enciphered-records")
    if tagged.failure:
        return Done(failure=tagged.failure, defences=defences)
    report = jobs.report_of(
        rows=tagged.subjects, groups=0, units=0, units_min=units_min, defences=defences, negative=False,
        runtime_ms=round((time.monotonic() - clock) * 1000), has_groups=True,
    )  # fmt: skip
    return Done(files=folders.describe(place / "outbox", tagged.rows), report=report, defences=defences)


def _run_joint(site: Site, job: Job, governed: Governed, place: Path) -> Done:
    done = run_joint(site, job, governed, place)
    failure = done.reasons[0].code if done.reasons else ""
    return Done(failure=failure, files=done.files, report=done.report, defences=done.defences)


# ------------------------------------------------------------------------------------------------------- recording


def _finish(site: Site, job: Job, done: Done, place: Path, beside: tuple[Path, ...]) -> Job | None:
    """Record the end. The folder gets its name inside the transaction, before the commit: never the other way round.

    ``beside`` is what the ledger held before the run; ``None`` when it holds more by now, and the run must be repeated.
    """
    with site.db.transaction() as tx:
        now = store.JOBS.get(tx, job.id)
        if jobs.is_over(now):
            return now  # stopped meanwhile, or finished by another worker: nothing of this run is kept
        usable = scenarios.is_usable_in(tx, now.entitlement, site.now())
        if isinstance(usable, Denied):
            return _stop_in(tx, site, now, usable)
        if LEDGER_LINE in done.defences and earlier_sets(site, job) != beside:
            return None
        facts = {"defences": ", ".join(done.defences)}
        if now.plan.kind is JobKind.SQL and "namespaces" not in done.defences:
            facts["without"] = "namespaces"  # the machine could not make them: two lines of defence stood, not three
        if done.report is None:
            ended = jobs.decide_job_step(now, "fail", site.now(), done.failure).value_or_raise()
            failure: Decision[Job] = Denied((jobs.JOB_FAILED.because(job=job.id, failure=done.failure),))
            audit.record(tx, site, actor=SYSTEM, action="job.fail", subject=job.ref, decision=failure, facts=facts)
        else:
            success = jobs.decide_success(now, done.files, done.report, site.now())
            ended = success.value_or_raise()
            facts |= {"rows": str(done.report.rows), **{f"sha256 {f.name}": f.sha256 for f in done.files}}
            audit.record(
                tx, site, actor=SYSTEM, action="job.succeed", subject=job.ref, decision=Permitted(ended),
                origins=(job.plan.entitlement, *job.plan.inputs), facts=facts,
            )  # fmt: skip
            if done.files:  # the side of a joint task that learns nothing has none
                keep_sets(site, job, place)
                folders.publish(place / "outbox", folders.output_folder(site.home, job.id))
        store.JOBS.save(tx, now, ended)
    return ended


def fail_job(site: Site, job_id: JobId, failure: str = "internal") -> Job:
    """End a job that the platform could not run, for a cause that is not the job's. One that is over stays as it is."""
    with site.db.transaction() as tx:
        job = store.JOBS.get(tx, job_id)
        if jobs.is_over(job):
            return job
        running = jobs.decide_job_step(job, "run", site.now()).value_or_raise()
        ended = jobs.decide_job_step(running, "fail", site.now(), failure).value_or_raise()
        decision: Decision[Job] = Denied((jobs.JOB_FAILED.because(job=job.id, failure=failure),))
        audit.record(tx, site, actor=SYSTEM, action="job.fail", subject=job.ref, decision=decision)
        store.JOBS.save(tx, job, ended)
    return ended
