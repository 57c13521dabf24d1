"""Resources and versions as others may see them."""

from pathlib import Path

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.base.decisions import NOT_FOUND, Refused
from gongshu.base.ids import ResourceId
from gongshu.base.paging import PAGE_ROWS_MAX, Page, PageRequest, page_where
from gongshu.base.site import Site, Transaction
from gongshu.catalog import store
from gongshu.catalog.adapters import engine, folders
from gongshu.catalog.rules import faults, resources
from gongshu.catalog.types import Limits, QuarantinedLine, Resource, ResourceVersion
from gongshu.policies import service as policies
from gongshu.policies.types import ResourcePolicy

POSITION_DIGITS_MAX = 12


def resource_in(tx: Transaction, resource_id: ResourceId) -> Resource:
    """Return a resource, within the caller's transaction; ``not-found`` when there is none."""
    return store.RESOURCES.get(tx, resource_id)


def known_in(tx: Transaction, actor: Actor, resource_id: ResourceId) -> Resource:
    """Return a resource that the actor may know of; any other is not found."""
    is_id = resource_id.isascii() and resource_id.isprintable()  # PostgreSQL cannot even be asked for a NUL
    resource = store.RESOURCES.find(tx, resource_id) if is_id else None
    if resource is None or not resources.knows_of(actor, resource):
        raise Refused((NOT_FOUND.because(kind=store.RESOURCES.kind, id=resource_id),))
    return resource


def version_in(tx: Transaction, resource_id: ResourceId, number: int) -> ResourceVersion:
    """Return version ``number`` of a resource, within the caller's transaction; ``not-found`` when there is none."""
    found = store.VERSIONS.all(tx, resource=resource_id, number=number)
    if not found:
        raise Refused((NOT_FOUND.because(kind=store.VERSIONS.kind, id=f"{resource_id} v{number}"),))
    return found[0]


def latest_in(tx: Transaction, resource: Resource) -> ResourceVersion | None:
    """Return the latest version of ``resource``, or ``None`` while it has none."""
    return version_in(tx, resource.id, resource.latest_version) if resource.latest_version else None


def get_resource(site: Site, actor: Actor, resource_id: ResourceId) -> Resource:
    """Return a resource that the actor may know of."""
    access.require(actor, Permission.READ_CATALOG_VIEW)
    with site.db.reading() as tx:
        return known_in(tx, actor, resource_id)


def list_resources(site: Site, actor: Actor, page: PageRequest) -> Page[Resource]:
    """Return the resources that the actor may know of, newest first."""
    access.require(actor, Permission.READ_CATALOG_VIEW)
    with site.db.reading() as tx:
        return page_where(
            lambda request: store.RESOURCES.page(tx, request),
            lambda resource: resources.knows_of(actor, resource),
            page,
        )


def list_versions(site: Site, actor: Actor, resource_id: ResourceId, page: PageRequest) -> Page[ResourceVersion]:
    """Return the versions of a resource, newest first."""
    access.require(actor, Permission.READ_CATALOG_VIEW)
    with site.db.reading() as tx:
        return store.VERSIONS.page(tx, page, resource=known_in(tx, actor, resource_id).id)


def get_version(site: Site, actor: Actor, resource_id: ResourceId, number: int) -> ResourceVersion:
    """Return one version of a resource, with its profile, quality report and proposals."""
    access.require(actor, Permission.READ_CATALOG_VIEW)
    with site.db.reading() as tx:
        return version_in(tx, known_in(tx, actor, resource_id).id, number)


def list_quarantine(
    site: Site, actor: Actor, resource_id: ResourceId, number: int, page: PageRequest
) -> Page[QuarantinedLine]:
    """Return the lines of a version that were set aside, in the order of files and lines, each with its reason.

    What stood in them is shown to the supplier's own people who may ingest, and to nobody else.
    """
    version = get_version(site, actor, resource_id, number)
    with site.db.reading() as tx:
        is_own = resource_in(tx, resource_id).supplier == actor.party
    shows_raw = is_own and access.may(actor, Permission.SUPPLY_RESOURCE_INGEST)
    limit = max(1, min(page.limit, PAGE_ROWS_MAX))
    is_position = page.after.isascii() and page.after.isdigit() and len(page.after) <= POSITION_DIGITS_MAX
    after = int(page.after) if is_position else 0
    path = folders.version_folder(site.home, resource_id, version.number) / folders.QUARANTINE
    found = engine.read_quarantine(path, after, limit + 1, Limits()) if version.rows_quarantined else ()
    rows = tuple(
        QuarantinedLine(r.position, r.source, r.line, r.code, faults.TEXTS[r.code], r.raw if shows_raw else "")
        for r in found[:limit]
    )
    return Page(rows, next_after=str(rows[-1].position) if len(found) > limit else "")


def version_files(site: Site, version: ResourceVersion) -> tuple[Path, ...]:
    """Return the Parquet files of a version after verifying every digest; one changed byte is refused."""
    folder = folders.version_folder(site.home, version.resource, version.number)
    changed = folders.changed_files(folder, version.manifest)
    if changed or version.manifest.digest != version.manifest_digest:
        names = "、".join(changed) or folders.MANIFEST
        raise Refused((resources.DATA_CHANGED.because(version=version.id, files=names),))
    return tuple(folder / entry.name for entry in version.manifest.files if entry.name != folders.QUARANTINE)


def propose_policy(site: Site, actor: Actor, resource_id: ResourceId) -> ResourcePolicy:
    """Return the uses that follow from the confirmed grades alone: where the provider starts from."""
    resource = get_resource(site, actor, resource_id)
    grades = {grade.column: grade.grade for grade in resource.grades}
    unit = next((g.column for g in resource.grades if g.meaning in resources.UNIT_MEANINGS), "")
    return policies.default_policy(grades, (unit,) if unit else ())
