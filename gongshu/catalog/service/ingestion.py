"""Files become one immutable version: read, typed, written, counted, judged, then put in place in one transaction.

The long work happens aside and touches nothing that others see. The folder is renamed into place inside the
transaction that records the version, so neither stands without the other.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, NoReturn

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import Decision, Denied, Permitted, Reason
from gongshu.base.ids import ResourceId, VersionId
from gongshu.base.site import Site
from gongshu.catalog import store
from gongshu.catalog.adapters import counting, engine, folders
from gongshu.catalog.adapters.dialect import Opening, open_source, shown_name
from gongshu.catalog.adapters.scanner import SourceScan, scan_source
from gongshu.catalog.rules import classification, columns, quality
from gongshu.catalog.rules import resources as rules
from gongshu.catalog.service.reading import known_in, latest_in
from gongshu.catalog.types import (
    Column,
    ColumnCounts,
    FileEntry,
    Limits,
    Manifest,
    Proposal,
    QuarantineCount,
    Resource,
    ResourceVersion,
    SourceFault,
)


@dataclass(frozen=True)
class Prepared:
    """A version that lacks only its number: what was read, written and counted."""

    folder: Path
    columns: tuple[Column, ...]
    scans: tuple[SourceScan, ...]
    files: tuple[FileEntry, ...]
    counts: tuple[ColumnCounts, ...]
    proposals: tuple[Proposal, ...]
    key: str
    names_changed: int

    @property
    def rows_in(self) -> int:
        """Records and unreadable lines of all sources."""
        return sum(scan.source.rows_in for scan in self.scans)

    @property
    def rows_kept(self) -> int:
        """Records of the version."""
        return sum(scan.source.rows_kept for scan in self.scans)


def ingest(
    site: Site, actor: Actor, resource_id: ResourceId, files: Sequence[Path], *, limits: Limits | None = None
) -> ResourceVersion:
    """Make ``files`` (CSV, UTF-8 or GB18030) the next version of a resource; earlier ones stay as they are.

    Lines that cannot be read are set aside with number and reason. Nothing readable, or a file that does not fit the
    others: refused, and no version is made.
    """
    limits = limits or Limits()
    sources = [Path(file) for file in files]
    _must_be_allowed(site, actor, resource_id, tuple(shown_name(source) for source in sources), limits)
    version_id = VersionId(site.ids.make("version"))
    with folders.staging(site.home, version_id) as folder:
        prepared = _prepare(site, folder, sources, limits)
        if isinstance(prepared, Denied):
            _refuse(site, actor, resource_id, prepared)
        return _commit(site, actor, resource_id, version_id, prepared)


def ingest_uploads(
    site: Site, actor: Actor, resource_id: ResourceId, uploads: Sequence[tuple[str, IO[bytes]]],
    *, limits: Limits | None = None,
) -> ResourceVersion:  # fmt: skip
    """Ingest files that arrive as named streams. They are kept only until they are read."""
    limits = limits or Limits()
    names = tuple(shown_name(Path(name)) for name, _ in uploads)
    _must_be_allowed(site, actor, resource_id, names, limits)
    with folders.staging(site.home, site.ids.make("upload")) as folder:
        paths = folders.receive(folder / "work", zip(names, (file for _, file in uploads), strict=True), limits)
        if paths is None:
            _refuse(
                site, actor, resource_id,
                Denied((rules.FILES_TOO_LARGE.because(bytes_max=limits.upload_bytes_max),)),
            )  # fmt: skip
        return ingest(site, actor, resource_id, paths, limits=limits)


def _must_be_allowed(site: Site, actor: Actor, resource_id: ResourceId, names: tuple[str, ...], limits: Limits) -> None:
    """Refuse, on record, what can be refused before anything is read."""
    with site.db.reading() as tx:
        resource = known_in(tx, actor, resource_id)
    decision: Decision[Resource] = access.guard(
        actor, Permission.SUPPLY_RESOURCE_INGEST, lambda: rules.decide_ingest(actor, resource, names, limits)
    )
    if isinstance(decision, Denied):
        _refuse(site, actor, resource_id, decision)


def _refuse(site: Site, actor: Actor, resource_id: ResourceId, decision: Denied) -> NoReturn:
    with site.db.transaction() as tx:
        resource = known_in(tx, actor, resource_id)
        audit.record(tx, site, actor=actor, action="resource.ingest", subject=resource.ref, decision=decision)
    decision.value_or_raise()


def _prepare(site: Site, folder: Path, sources: Sequence[Path], limits: Limits) -> Prepared | Denied:
    opened = _open_all(sources, limits)
    if isinstance(opened, Denied):
        return opened
    openings, names, changed = opened
    scans: list[SourceScan] = []
    for index, (source, opening) in enumerate(zip(sources, openings, strict=True)):
        scan = scan_source(
            source, opening, columns=len(names), has_header=columns.is_header(opening.cells),
            stem=folder / "work" / f"{index}", limits=limits,
        )  # fmt: skip
        if isinstance(scan, SourceFault):
            return Denied((rules.reason_of(scan),))
        scans.append(scan)
    rows_in = sum(scan.source.rows_in for scan in scans)
    if not any(scan.source.rows_kept for scan in scans):
        codes = tuple({fault.value for scan in scans for fault in scan.faults})
        return Denied((rules.nothing_readable(rows_in, codes),))
    with suppress(engine.EngineFault):
        return _write(site, folder, scans, names=names, names_changed=changed, limits=limits)
    return Denied((rules.ENGINE_DISAGREES.because(),))


def _open_all(sources: Sequence[Path], limits: Limits) -> tuple[tuple[Opening, ...], tuple[str, ...], int] | Denied:
    """Return how each source is written, the names of the columns they share, and how many were changed."""
    openings: list[Opening] = []
    reasons: list[Reason] = []
    names: tuple[str, ...] | None = None
    changed = 0
    for source in sources:
        opening = open_source(source, limits)
        if isinstance(opening, SourceFault):
            reasons.append(rules.reason_of(opening))
            continue
        openings.append(opening)
        cells = opening.cells if columns.is_header(opening.cells) else ("",) * len(opening.cells)
        found, renamed = columns.column_names(cells, limits)
        reasons.extend(columns.decide_header(shown_name(source), found, names, limits).reasons)
        if names is None:
            names, changed = found, renamed
    if reasons or names is None:
        return Denied(tuple(reasons))
    return tuple(openings), names, changed


def _write(
    site: Site, folder: Path, scans: list[SourceScan], *, names: tuple[str, ...], names_changed: int, limits: Limits
) -> Prepared:
    """Type, write, count and judge the records of ``scans``; ``EngineFault`` when two readings disagree."""
    version = folder / "version"
    readable = [scan.path for scan in scans]
    with engine.open_engine(folder, readable, limits) as opened:
        guessed = columns.plan_columns(names, engine.count_types(opened, scans, names, limits, whole=False))
        rows = engine.write_parts(opened, scans, guessed, version, limits)
        plans = guessed
        if rows is None:  # a later value has another form than those the types were guessed from
            plans = columns.plan_columns(names, engine.count_types(opened, scans, names, limits, whole=True))
            rows = engine.write_parts(opened, scans, plans, version, limits)
        if rows is None or rows != [scan.source.rows_kept for scan in scans]:
            raise engine.EngineFault
        quarantined = engine.write_quarantine(opened, scans, version / folders.QUARANTINE)
        if quarantined != sum(scan.source.rows_quarantined for scan in scans):
            raise engine.EngineFault
        made = columns.columns_of(plans)
        parts = [version / folders.part_name(index) for index, kept in enumerate(rows) if kept]
        counts = counting.count_values(opened, parts, made, rows=sum(rows), today=site.today(), limits=limits)
        proposals = tuple(classification.propose(c, n) for c, n in zip(made, counts, strict=True))
        key = quality.find_key(counts, proposals)
        counts = counting.with_exact_distinct(opened, parts, counts, key)
    kept_rows = [kept for kept in rows if kept]
    files = [folders.entry_of(part, kept) for part, kept in zip(parts, kept_rows, strict=True)]
    files.append(folders.entry_of(version / folders.QUARANTINE, quarantined))
    return Prepared(version, made, tuple(scans), tuple(files), counts, proposals, key, names_changed)


def _version(
    site: Site, version_id: VersionId, resource: Resource, before: ResourceVersion | None, prepared: Prepared
) -> ResourceVersion:
    number = resource.latest_version + 1
    manifest = Manifest(
        resource.id, number, prepared.columns, tuple(scan.source for scan in prepared.scans), prepared.files
    )
    quarantined = prepared.rows_in - prepared.rows_kept
    report = quality.report(
        prepared.counts, prepared.proposals, columns=prepared.columns, rows_in=prepared.rows_in, rows_quarantined=quarantined,
        names_changed=prepared.names_changed, key=prepared.key, files=len(prepared.files),
        previous=(before.created_at, tuple(column.name for column in before.manifest.columns)) if before else None,
        update_cycle=resource.update_cycle, now=site.now(),
    )  # fmt: skip
    lines: dict[str, int] = {}
    for scan in prepared.scans:
        for fault, found in scan.faults.items():
            lines[fault.value] = lines.get(fault.value, 0) + found
    profile = tuple(quality.profile_of(c, p) for c, p in zip(prepared.counts, prepared.proposals, strict=True))
    return ResourceVersion(
        id=version_id, resource=resource.id, number=number, manifest=manifest, manifest_digest=manifest.digest,
        rows_in=prepared.rows_in, rows_kept=prepared.rows_kept, rows_quarantined=quarantined,
        quarantine=tuple(QuarantineCount(code, lines[code]) for code in sorted(lines)), profile=profile,
        quality=report, proposals=prepared.proposals, created_at=site.now(),
    )  # fmt: skip


def _commit(
    site: Site, actor: Actor, resource_id: ResourceId, version_id: VersionId, prepared: Prepared
) -> ResourceVersion:
    """Number the version, put its folder in place and record it: one transaction, one version at a time."""
    with site.db.transaction() as tx:
        resource = known_in(tx, actor, resource_id)
        version = _version(site, version_id, resource, latest_in(tx, resource), prepared)
        changed = replace(resource, latest_version=version.number)
        facts = {
            "number": version.number, "files": len(prepared.scans), "columns": len(prepared.columns),
            "rows_in": version.rows_in, "rows_kept": version.rows_kept, "rows_quarantined": version.rows_quarantined,
        }  # fmt: skip
        audit.record(
            tx, site, actor=actor, action="resource.ingest", subject=version.ref, decision=Permitted(version),
            origins=(changed.ref,), facts={name: str(value) for name, value in facts.items()},
        )  # fmt: skip
        store.VERSIONS.add(tx, version)
        store.RESOURCES.save(tx, resource, changed)
        folders.publish(prepared.folder, version.manifest, site.home)
    return version
