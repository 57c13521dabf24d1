"""Outputs wait in quarantine, are checked by machine and by two people, and leave byte for byte as they were reviewed."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gongshu.access import service as access
from gongshu.access.types import SYSTEM, Actor, Permission, Role
from gongshu.audit import service as audit
from gongshu.base.decisions import NOT_FOUND, Decision, Denied, Permitted, Refused, decide
from gongshu.base.ids import GrantId, JobId, OutputId, ReleaseId
from gongshu.base.paging import PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site, Transaction
from gongshu.catalog import service as catalog
from gongshu.catalog.types import ResourceVersion
from gongshu.compute import service as compute
from gongshu.compute.types import Job, JobKind, OutputFile
from gongshu.egress import store
from gongshu.egress.adapters import files, hashes, tables, texts
from gongshu.egress.rules import checks, programs, reviews
from gongshu.egress.types import (
    CheckLimits,
    FileMeasure,
    Finding,
    Output,
    OutputStatus,
    Preview,
    Release,
    Resemblance,
    ReviewKind,
    Standing,
    Vote,
)
from gongshu.grants import service as grants
from gongshu.grants.types import Disposal, DisposalKind
from gongshu.parties import service as parties
from gongshu.policies.types import ResourcePolicy
from gongshu.scenarios import service as scenarios
from gongshu.scenarios.types import Entitlement

OVERSIGHT = frozenset({Role.AUDITOR, Role.AUTHORISING_BODY, Role.IMPLEMENTING_AGENCY})
"""Roles that see every output; of the content they see nothing."""
DESTROY_FILES = "销毁隔离区和出域区的文件，提交销毁证明"

# ------------------------------------------------------------------------------------------------------ collecting


def collect(site: Site, job_id: JobId) -> Output:
    """Freeze what a job wrote and check it. The worker calls this as the platform itself; again gives the same output.

    A file that is not what the job declared is refused with ``output-changed``.
    """
    with site.db.reading() as tx:
        job = compute.job_in(tx, job_id)
        found = store.OUTPUTS.all(tx, job=job_id)
        entitlement = scenarios.entitlement_in(tx, job.entitlement)
        sources = _source_versions(tx, job)
    if found:
        return found[0]
    folder = Path(compute.output_folder(site, job))
    decision: Decision[Job] = reviews.decide_collect(job)
    changed = reviews.changed_file(job.files, files.digests(folder, job.files))
    findings: tuple[Finding, ...] = ()
    if isinstance(decision, Permitted) and changed:
        decision = Denied((reviews.OUTPUT_CHANGED.because(output=job.id, file=changed),))
    if isinstance(decision, Permitted):
        findings = _check(site, job, entitlement, folder, sources)
    output = Output(
        id=OutputId(site.ids.make("output")), job=job.ref, job_id=job.id, author=job.submitted_by,
        author_party=job.developer, files=job.files, context="", status=OutputStatus.QUARANTINED, findings=findings,
        created_at=site.now(), entitlement=job.entitlement, grant=GrantId(entitlement.grant.id),
        operator=entitlement.operator, kind=job.plan.kind, title=job.title,
    )  # fmt: skip
    with site.db.transaction() as tx:
        faster = store.OUTPUTS.all(tx, job=job_id)
        if faster:
            return faster[0]
        counts = {
            v.value: str(sum(f.verdict is v for f in findings)) for v in (checks.PASS, checks.REVIEW, checks.FAIL)
        }
        audit.record(
            tx, site, actor=SYSTEM, action="output.collect", subject=output.ref, decision=decision,
            origins=(job.ref,), facts={"files": str(len(job.files)), **counts},
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.OUTPUTS.add(tx, output)
    decision.value_or_raise()
    return output


def _source_versions(tx: Transaction, job: Job) -> dict[str, ResourceVersion]:
    """Return the version that each relation of a query was read from, by the relation's name."""
    wanted = {ref.id for ref in job.plan.inputs}
    found: dict[str, ResourceVersion] = {}
    reading = job.plan.query or job.plan.program
    for projection in reading.projections if reading else ():
        latest = catalog.resource_in(tx, projection.resource).latest_version
        for number in range(latest, 0, -1):
            version = catalog.version_in(tx, projection.resource, number)
            if version.id in wanted:
                found[projection.relation] = version
                break
    return found


def _check(
    site: Site, job: Job, entitlement: Entitlement, folder: Path, sources: dict[str, ResourceVersion]
) -> tuple[Finding, ...]:
    today, parameters = site.today(), site.parameters
    limits = CheckLimits(
        rows_max=parameters.number("egress.rows_max", today),
        bytes_max=parameters.number("egress.bytes_max", today),
        units_min=job.plan.thresholds.units_min,
        match_rows_max=parameters.number("egress.match.rows_max", today),
        match_percent_max=parameters.number("egress.match.percent_max", today),
        model_numbers_max=parameters.number("egress.model.numbers_max", today),
    )
    measures = tuple(_measure(job, folder, file, limits) for file in job.files)
    policies = {resource.name: resource.policy for resource in entitlement.resources}
    columns_min = parameters.number("egress.match.columns_min", today)
    resemblances: list[Resemblance] = []
    for measure in measures:
        if measure.table is None:
            continue
        for relation, version in sources.items():
            paths = tuple(catalog.version_files(site, version))
            shown, needed, is_open = _compared(job, policies, relation, folder / measure.name, paths, columns_min)
            if needed:
                matching = tables.count_matching(
                    folder / measure.name, shown, paths, columns_min=needed, rows_below=limits.units_min
                )
                resemblances.append(Resemblance(measure.name, relation, measure.table.rows, matching, is_open))
    return checks.check_output(
        job.plan, policies, measures, tuple(resemblances), limits, declared=job.files,
        undeclared=files.strays(folder, job.files),
        has_negative_parts=job.report is not None and job.report.needs_review,
    )  # fmt: skip


def _compared(  # noqa: PLR0917 - what is laid beside what
    job: Job, policies: dict[str, ResourcePolicy], relation: str, path: Path, sources: tuple[Path, ...],
    columns_min: int,
) -> tuple[dict[str, str], int, bool]:  # fmt: skip
    """Return which output columns show which source columns, how many must be equal for a copy, whether all are open."""
    if job.plan.query is not None:
        shown, is_open = checks.columns_to_compare(job.plan.query, policies, relation)
        # A table of single rows is a copy of its source however few columns it has.
        return shown, columns_min if job.plan.query.is_aggregate else max(1, min(columns_min, len(shown))), is_open
    given = job.plan.program.projections if job.plan.program else ()
    columns = next((projection.columns for projection in given if projection.relation == relation), ())
    likely = tables.likely_columns(path, sources, columns)
    shown = {name: source for name, (source, _) in likely.items()}
    texts = sum(is_text for _, is_text in likely.values())
    is_open = programs.is_open(policies[relation], shown.values())
    return shown, programs.columns_needed(texts, len(shown), columns_min), is_open


def _measure(job: Job, folder: Path, file: OutputFile, limits: CheckLimits) -> FileMeasure:
    path = folder / file.name
    measure = FileMeasure(file.name, file.sha256, path.stat().st_size)
    if job.plan.kind is JobKind.VERIFICATION:
        fields = job.plan.verification.fields if job.plan.verification else ()
        compared = sum(not field.is_key for field in fields)
        return replace(measure, hashes=None if file.name.endswith(".json") else hashes.measure_hashes(path, compared))
    if job.plan.lookup is not None and file.name.endswith(".lmdb"):
        return replace(measure, hashes=hashes.measure_sealed(path, compute.record_bytes(len(job.plan.lookup.outputs))))
    if tables.is_table(file.name):
        return replace(measure, table=tables.measure_table(path, limits.units_min))
    if texts.is_text(file.name):
        return replace(measure, text=texts.measure_text(path))
    models = dict(job.report.models) if job.report is not None else {}
    return replace(measure, model=models.get(file.name))


# --------------------------------------------------------------------------------------------------------- reviews


def _changed(site: Site, output: Output) -> str:
    """Hash the quarantined bytes again; return the name of a file that is not what was frozen, or ``""``."""
    with site.db.reading() as tx:
        job = compute.job_in(tx, output.job_id)
    return reviews.changed_file(output.files, files.digests(Path(compute.output_folder(site, job)), output.files))


def _voided(tx: Transaction, site: Site, output: Output, changed: str) -> Denied:
    """Void an output one of whose bytes was changed: its votes are worth nothing any more."""
    if (output.status, "void") in reviews.OUTPUT_TRANSITIONS:
        void = replace(output, status=OutputStatus.VOID, votes=())
        store.OUTPUTS.save(tx, output, void)
        facts = {"file": changed, "votes_void": str(len(output.votes))}
        audit.record(
            tx, site, actor=SYSTEM, action="output.void", subject=output.ref, decision=decide(void), facts=facts
        )
    return Denied((reviews.OUTPUT_CHANGED.because(output=output.id, file=changed),))


def _standing_in(tx: Transaction, output: Output, now: datetime) -> Standing:
    faults = grants.in_force_in(tx, output.grant, now).reasons
    return Standing(scenarios.entitlement_in(tx, output.entitlement), faults, now)


def submit_for_review(site: Site, actor: Actor, output_id: OutputId, context: str) -> Output:
    """Ask for the two reviews, saying what the output is. Impossible while an automatic check fails."""
    changed = _changed(site, _output(site, output_id))
    with site.db.transaction() as tx:
        output = store.OUTPUTS.get(tx, output_id)
        standing = _standing_in(tx, output, site.now())
        described = replace(output, context=context.strip())
        decision = access.guard(
            actor,
            Permission.DEVELOP_OUTPUT_SUBMIT,
            lambda: (
                _voided(tx, site, output, changed)
                if changed
                else reviews.decide_submit(described, actor.party, standing)
            ),
        )
        audit.record(tx, site, actor=actor, action="output.submit", subject=output.ref, decision=decision)
        if isinstance(decision, Permitted):
            store.OUTPUTS.save(tx, output, decision.value)
    return programs.as_seen(actor, decision.value_or_raise())


def vote(
    site: Site, actor: Actor, output_id: OutputId, kind: ReviewKind, digest: str, *, approves: bool, reason: str
) -> Output:
    """Give one of the two reviews, bound to the digest that was looked at (27号 art.14(三)).

    The returned output shows the other review only when both are in.
    """
    changed = _changed(site, _output(site, output_id))
    with site.db.transaction() as tx:
        output = store.OUTPUTS.get(tx, output_id)
        given = Vote(kind, actor.person, actor.party, approves, reason.strip(), digest, site.now(), output.id)
        is_related = parties.are_related_in(tx, actor.party, output.author_party)
        decision = access.guard(
            actor,
            Permission.REVIEW_OUTPUT_VOTE,
            lambda: (
                _voided(tx, site, output, changed)
                if changed
                else reviews.decide_vote(output, given, is_related=is_related)
            ),
        )
        # A review is an object of its own on the lifeline; a refused one is an event of the output's.
        is_in = isinstance(decision, Permitted)
        audit.record(
            tx, site, actor=actor, action="output.vote", subject=given.ref if is_in else output.ref, decision=decision,
            origins=(output.ref,) if is_in else (), facts={"kind": kind.value, "approves": str(approves).lower()},
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.OUTPUTS.save(tx, output, decision.value)
            if decision.value.status is not output.status:
                action = f"output.{decision.value.status.value}"
                audit.record(tx, site, actor=SYSTEM, action=action, subject=output.ref, decision=decision)
    if isinstance(decision, Permitted) and decision.value.status is OutputStatus.REJECTED:
        compute.forget_groups(site, output.job_id)  # nobody will see it: others may be told of these groups
    return reviews.hide_votes(decision.value_or_raise(), actor.person)


# --------------------------------------------------------------------------------------------------------- release


def _folder_of(site: Site, release_id: ReleaseId) -> Path:
    return site.home / "releases" / release_id


def release(site: Site, actor: Actor, output_id: OutputId) -> Release:
    """Let exactly the reviewed bytes leave: copied to the release's folder, on disk before the release is recorded."""
    changed = _changed(site, _output(site, output_id))
    copied: Path | None = None
    try:
        with site.db.transaction() as tx:
            output = store.OUTPUTS.get(tx, output_id)
            standing = _standing_in(tx, output, site.now())
            made = Release(
                id=ReleaseId(site.ids.make("release")), output=output.ref, job=output.job, entitlement=standing.entitlement.ref,
                files=output.files, votes=output.votes, released_by=actor.person, released_at=standing.now, grant=output.grant,
                operator=output.operator,
            )  # fmt: skip
            reviews_min = site.parameters.number("egress.reviews_min", site.today())
            decision = access.guard(
                actor,
                Permission.OPERATE_RELEASE_WRITE,
                lambda: (
                    _voided(tx, site, output, changed)
                    if changed
                    else reviews.decide_release(output, actor.party, standing, reviews_min=reviews_min)
                ),
            )
            if isinstance(decision, Permitted):
                job = compute.job_in(tx, output.job_id)
                source, target = Path(compute.output_folder(site, job)), _folder_of(site, made.id)
                changed = files.copy_out(source, target, output.files)
                if changed:
                    decision = _voided(tx, site, output, changed)
                else:
                    copied = target
                    store.OUTPUTS.save(tx, output, replace(decision.value, release=made.id))
                    store.RELEASES.add(tx, made)
            audit.record(
                tx, site, actor=actor, action="output.release",
                subject=made.ref if isinstance(decision, Permitted) else output.ref, decision=decision,
                origins=(*(given.ref for given in made.votes), output.ref, standing.entitlement.ref)
                if isinstance(decision, Permitted)
                else (),
                facts={"files": str(len(made.files))},
            )  # fmt: skip
    except BaseException:
        if copied is not None:
            files.remove(copied)
        raise
    decision.value_or_raise()
    return made


def release_in(tx: Transaction, release_id: ReleaseId) -> Release:
    """Return a release; refused with ``not-found`` when there is none."""
    return store.RELEASES.get(tx, release_id)


def release_folder(site: Site, released: Release) -> Path:
    """Return where the released files lie, after hashing them again; refused when a byte is not what was reviewed."""
    folder = _folder_of(site, released.id)
    changed = reviews.changed_file(released.files, files.digests(folder, released.files))
    if changed:
        raise Refused((reviews.RELEASE_CHANGED.because(release=released.id, file=changed),))
    return folder


# --------------------------------------------------------------------------------------------------------- reading


def _output(site: Site, output_id: OutputId) -> Output:
    with site.db.reading() as tx:
        return store.OUTPUTS.get(tx, output_id)


def _sees_all(actor: Actor) -> bool:
    return bool(actor.roles & OVERSIGHT)


def _sees(actor: Actor, output: Output) -> bool:
    is_reviewer = Role.REVIEWER in actor.roles and output.status is not OutputStatus.QUARANTINED
    return is_reviewer or _sees_all(actor) or actor.party in {output.author_party, output.operator}


def get_output(site: Site, actor: Actor, output_id: OutputId) -> Output:
    """Return an output to its author's organisation, its operator, reviewers and supervisors; votes once both are in."""
    access.require(actor, Permission.READ_OUTPUT_VIEW)
    output = _output(site, output_id)
    if not _sees(actor, output):
        raise Refused((NOT_FOUND.because(kind="output", id=output_id),))
    return programs.as_seen(actor, reviews.hide_votes(output, actor.person))


def list_outputs(site: Site, actor: Actor, page: PageRequest, *, status: OutputStatus | None = None) -> Page[Output]:
    """Return outputs, newest first: all that were submitted for a reviewer, all for supervisors, else one's own."""
    access.require(actor, Permission.READ_OUTPUT_VIEW)
    filters: dict[str, Any] = {"status": status.value} if status else {}
    if _sees_all(actor):
        pass
    elif Role.REVIEWER in actor.roles:
        submitted = [other.value for other in OutputStatus if other is not OutputStatus.QUARANTINED]
        filters["status"] = [status.value] if status and status.value in submitted else [] if status else submitted
    elif Role.OPERATOR in actor.roles:
        filters["operator"] = actor.party
    else:
        filters["author_party"] = actor.party
    with site.db.reading() as tx:
        found = store.OUTPUTS.page(tx, page, **filters)
    seen = (programs.as_seen(actor, reviews.hide_votes(output, actor.person)) for output in found.rows)
    return Page(tuple(seen), found.next_after)


def preview_output(site: Site, actor: Actor, output_id: OutputId, page: PageRequest, *, file: str = "") -> Preview:
    """Return rows of a table or lines of a text of an output to a reviewer; after the release also to author and operator.

    Each view is audited. ``file`` names one of its files; without it the first table. ``page.after`` is the number of rows
    to skip. The hashes of a verification are shown to nobody: its fields are.
    """
    with site.db.transaction() as tx:
        output = store.OUTPUTS.get(tx, output_id)
        job = compute.job_in(tx, output.job_id)
        is_related = parties.are_related_in(tx, actor.party, output.author_party)
        is_reviewer = access.may(actor, Permission.REVIEW_OUTPUT_VOTE)
        decision = access.guard(
            actor,
            Permission.READ_OUTPUT_VIEW,
            lambda: reviews.decide_preview(output, actor.party, is_reviewer=is_reviewer, is_related=is_related),
        )
        offset = int(page.after) if page.after.isdigit() else 0
        audit.record(
            tx, site, actor=actor, action="output.preview", subject=output.ref, decision=decision,
            facts={"limit": str(page.limit), "offset": str(offset), **({"file": file[:80]} if file else {})},
        )  # fmt: skip
    decision.value_or_raise()
    readable = [f.name for f in output.files if tables.is_table(f.name) or texts.is_text(f.name)]
    if file and file not in readable:
        raise Refused((NOT_FOUND.because(kind="file", id=file[:80]),))
    named = file or next(iter(readable), "")
    if job.plan.verification is not None or not named:
        fields = job.plan.verification.fields if job.plan.verification else ()
        rows = tuple((f.name, f.column, str(f.is_key).lower(), str(f.is_required).lower()) for f in fields)
        return Preview("", ("field", "column", "is_key", "is_required"), rows, len(rows))
    limit, path = max(1, min(page.limit, PAGE_ROWS_MAX)), Path(compute.output_folder(site, job)) / named
    shown = texts.preview if texts.is_text(named) else tables.preview
    return shown(path, limit=limit, offset=offset)


def get_release(site: Site, actor: Actor, release_id: ReleaseId) -> Release:
    """Return a release to its operator, its author's organisation and supervisors."""
    access.require(actor, Permission.READ_OUTPUT_VIEW)
    with site.db.reading() as tx:
        found = store.RELEASES.get(tx, release_id)
        output = store.OUTPUTS.get(tx, found.output.id)
    if not _sees(actor, output):
        raise Refused((NOT_FOUND.because(kind="release", id=release_id),))
    return found


def list_releases(site: Site, actor: Actor, page: PageRequest) -> Page[Release]:
    """Return releases, newest first: all of them for supervisors and reviewers, its own for an operator."""
    access.require(actor, Permission.READ_OUTPUT_VIEW)
    with site.db.reading() as tx:
        if _sees_all(actor) or Role.REVIEWER in actor.roles:
            return store.RELEASES.page(tx, page)
        return store.RELEASES.page(tx, page, operator=actor.party)


# ------------------------------------------------------------------------------------------------------------ stop


def stop_under_in(tx: Transaction, site: Site, actor: Actor, grant_id: GrantId, reason: str) -> tuple[Disposal, ...]:
    """Stop every output under a grant that has not left; what was released must be destroyed too. Part of the grant's end."""
    disposals: list[Disposal] = []
    for output in store.OUTPUTS.all(tx, grant=grant_id):
        if (output.status, "stop") in reviews.OUTPUT_TRANSITIONS:
            stopped = replace(output, status=OutputStatus.STOPPED)
            store.OUTPUTS.save(tx, output, stopped)
            audit.record(
                tx, site, actor=actor, action="output.stop", subject=output.ref, decision=decide(stopped),
                facts={"grant": str(grant_id), "reason": reason[:200]},
            )  # fmt: skip
        disposals.append(Disposal(DisposalKind.OUTPUT, output.ref, DESTROY_FILES))
    released = store.RELEASES.all(tx, grant=grant_id)
    return (*disposals, *(Disposal(DisposalKind.OUTPUT, gone.ref, DESTROY_FILES) for gone in released))
