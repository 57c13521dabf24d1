"""Resources of a supplier: described, ingested, graded, their uses set."""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.access import service as access
from gongshu.access.types import Permission
from gongshu.base.decisions import Refused
from gongshu.base.ids import ResourceId
from gongshu.base.paging import PAGE_ROWS_MAX, PageRequest
from gongshu.base.site import Site
from gongshu.catalog import service as catalog
from gongshu.catalog.types import ColumnGrade, Meaning, Resource, ResourceVersion
from gongshu.console.codes import THEMES, UPDATE_CYCLES
from gongshu.console.forms import Filled, Form
from gongshu.console.labels import sentence
from gongshu.console.pictures import quality_by_dimension, quality_radar
from gongshu.console.render import actor_of, done, page, site_of, translate
from gongshu.policies import service as policies
from gongshu.policies.types import ColumnPolicy, Grade, Mask, MaskKind, ResourcePolicy, Use
from gongshu.registry import service as registry
from gongshu.registry.types import Registration

router = APIRouter()

EVERY = PageRequest(limit=PAGE_ROWS_MAX)


@router.get("/resources")
def list_resources(request: Request, after: str = "") -> Response:
    """List the resources that one may know of."""
    listed = catalog.list_resources(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "resources.html", listed=listed)


@router.get("/resources/describe")
def describe_form(request: Request) -> Response:
    """Show the form of a new resource."""
    access.require(actor_of(request), Permission.SUPPLY_RESOURCE_CREATE)
    return page(request, "resource-form.html", cycles=UPDATE_CYCLES, themes=THEMES)


@router.post("/resources")
def create_resource(request: Request, form: Filled) -> Response:
    """Describe a new resource."""
    name, title, summary = form.text("name"), form.text("title"), form.text("summary")
    theme, cycle, basis = form.text("theme"), form.text("update_cycle"), form.text("legal_basis")
    form.check()
    made = catalog.create_resource(
        site_of(request), actor_of(request), name=name, title=title, summary=summary, theme=theme, update_cycle=cycle,
        legal_basis=basis,
    )  # fmt: skip
    return done(request, f"/resources/{made.id}", "The resource is described. Upload its files next.")


def _registrations_of(site: Site, request: Request, resource: Resource) -> list[Registration]:
    try:
        listed = registry.list_registrations(site, actor_of(request), EVERY).rows
    except Refused:
        return []
    return [one for one in listed if one.terms.resource == resource.id]


def _latest(request: Request, resource: Resource) -> ResourceVersion | None:
    if not resource.latest_version:
        return None
    return catalog.get_version(site_of(request), actor_of(request), resource.id, resource.latest_version)


@router.get("/resources/{resource_id}")
def show_resource(request: Request, resource_id: ResourceId) -> Response:
    """Show a resource: how far it is, its versions, columns, grades and uses."""
    site, actor = site_of(request), actor_of(request)
    resource = catalog.get_resource(site, actor, resource_id)
    latest = _latest(request, resource)
    grades = {grade.column: grade for grade in resource.grades}
    proposals = {proposal.column: proposal for proposal in latest.proposals} if latest else {}
    return page(
        request, "resource.html", resource=resource, latest=latest, grades=grades, proposals=proposals,
        versions=catalog.list_versions(site, actor, resource_id, PageRequest()), uses=tuple(Use),
        registrations=_registrations_of(site, request, resource), is_own=resource.supplier == actor.party,
        grade_counts=Counter(g.grade for g in resource.grades or proposals.values()), all_grades=tuple(Grade),
        cycles=UPDATE_CYCLES, themes=THEMES,
    )  # fmt: skip


def _kept(form: Form, folder: Path) -> list[Path]:
    """Write uploaded files into ``folder`` under their own names and return their paths in order."""
    paths = []
    for number, upload in enumerate(form.files("files")):
        # Only the last part of a name counts; two files of one name are kept apart.
        place = folder / str(number)
        place.mkdir()
        path = place / (Path(upload.filename or "").name or f"{number}.csv")
        with path.open("wb") as file:
            shutil.copyfileobj(upload.file, file)
        paths.append(path)
    form.check()
    return paths


@router.post("/resources/{resource_id}/ingest")
def ingest(request: Request, resource_id: ResourceId, form: Filled) -> Response:
    """Make the uploaded files the next version of a resource."""
    site = site_of(request)
    with tempfile.TemporaryDirectory(dir=site.home, prefix="upload-") as folder:
        version = catalog.ingest(site, actor_of(request), resource_id, _kept(form, Path(folder)))
    said = sentence("Version %(number)s: %(rows_in)s rows in, %(kept)s kept, %(held)s quarantined.")
    return done(
        request, f"/resources/{resource_id}/versions/{version.number}", said, number=version.number,
        rows_in=version.rows_in, kept=version.rows_kept, held=version.rows_quarantined,
    )  # fmt: skip


@router.get("/resources/{resource_id}/versions/{number}")
def show_version(request: Request, resource_id: ResourceId, number: int) -> Response:
    """Show a version: rows in, kept and quarantined, the quality report as a picture, profile, files and digests."""
    site, actor = site_of(request), actor_of(request)
    version = catalog.get_version(site, actor, resource_id, number)
    return page(
        request, "version.html", resource=catalog.get_resource(site, actor, resource_id), version=version,
        radar=quality_radar(version.quality, translate(request)), percent=quality_by_dimension(version.quality),
        types={column.name: column for column in version.manifest.columns},
        meanings={proposal.column: proposal.meaning for proposal in version.proposals},
        failures=[item for item in version.quality if item.failing],
    )  # fmt: skip


@router.get("/resources/{resource_id}/versions/{number}/quarantine")
def show_quarantine(request: Request, resource_id: ResourceId, number: int, after: str = "") -> Response:
    """Show the lines that were set aside, with their number and the reason."""
    site, actor = site_of(request), actor_of(request)
    return page(
        request, "quarantine.html", resource=catalog.get_resource(site, actor, resource_id),
        version=catalog.get_version(site, actor, resource_id, number),
        listed=catalog.list_quarantine(site, actor, resource_id, number, PageRequest(after=after)),
    )  # fmt: skip


@router.get("/resources/{resource_id}/classify")
def classify_form(request: Request, resource_id: ResourceId) -> Response:
    """Show the proposed meaning and grade of each column, to be confirmed or changed."""
    resource = catalog.get_resource(site_of(request), actor_of(request), resource_id)
    latest = _latest(request, resource)
    return page(
        request, "classify.html", resource=resource, latest=latest, meanings=tuple(Meaning), grades=tuple(Grade),
        confirmed={grade.column: grade for grade in resource.grades},
    )  # fmt: skip


@router.post("/resources/{resource_id}/classify")
def confirm_classification(request: Request, resource_id: ResourceId, form: Filled) -> Response:
    """Confirm meaning and grade of every column."""
    grades = tuple(
        ColumnGrade(
            column, form.choice(f"meaning-{column}", Meaning) or Meaning.UNKNOWN,
            form.choice(f"grade-{column}", Grade) or Grade.SENSITIVE, form.text(f"reason-{column}", is_required=False),
        )
        for column in form.names("grade-")
    )  # fmt: skip
    form.check()
    catalog.confirm_classification(site_of(request), actor_of(request), resource_id, grades)
    return done(request, f"/resources/{resource_id}/uses", "The grades are confirmed. Set the uses next.")


@router.get("/resources/{resource_id}/uses")
def uses_form(request: Request, resource_id: ResourceId) -> Response:
    """Show the uses of each column as a matrix, starting from the defaults of the grades."""
    site, actor = site_of(request), actor_of(request)
    resource = catalog.get_resource(site, actor, resource_id)
    proposed = catalog.propose_policy(site, actor, resource_id)
    return page(
        request, "uses.html", resource=resource, policy=resource.policy or proposed, uses=tuple(Use),
        masks=tuple(MaskKind), defaults={grade.column: policies.default_uses(grade.grade) for grade in resource.grades},
        implied={use.value for use in policies.closed(frozenset({Use.REVEAL})) - {Use.REVEAL}},
    )  # fmt: skip


@router.post("/resources/{resource_id}/uses")
def set_uses(request: Request, resource_id: ResourceId, form: Filled) -> Response:
    """Set the uses of each column; those wider than the default are confirmed by name."""
    columns = []
    for name in form.names("column-"):
        kind = form.choice(f"mask-{name}", MaskKind)
        mask = Mask(kind, form.text(f"mask-parameter-{name}", is_required=False)) if kind else None
        uses = frozenset(Use(value) for value in form.many(f"uses-{name}") if value in set(Use))
        columns.append(ColumnPolicy(name, uses, mask))
    policy = ResourcePolicy(tuple(columns), form.many("unit"), form.text("row_filter", is_required=False))
    form.check()
    catalog.set_uses(site_of(request), actor_of(request), resource_id, policy, frozenset(form.many("confirmed")))
    return done(request, f"/resources/{resource_id}", "The uses are set. The resource can be registered.")
