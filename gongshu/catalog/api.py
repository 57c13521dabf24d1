"""HTTP of the catalog: resources, their versions, what was set aside, classification, uses."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, File, Query, Request, UploadFile
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field

from gongshu.access.types import Actor, Permission
from gongshu.base.ids import ResourceId
from gongshu.base.paging import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site
from gongshu.catalog import service
from gongshu.catalog.types import ColumnGrade, Limits, QuarantinedLine, Resource, ResourceVersion
from gongshu.policies.types import ResourcePolicy

router = APIRouter(prefix="/resources", tags=["catalog"])

READS = {"x-permission": Permission.READ_CATALOG_VIEW.value}
TEXT_CHARS_MAX = 20_000


def site_of(request: Request) -> Site:
    """Return the site of the running server."""
    return cast(Site, request.app.state.site)


def actor_of(request: Request) -> Actor:
    """Return who asks, as the server's middleware resolved it."""
    return cast(Actor, request.state.actor)


def page_of(
    limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT,
    after: Annotated[str, Query(max_length=80)] = "",
) -> PageRequest:
    """Return the part of a list that is asked for."""
    return PageRequest(limit, after)


Here = Annotated[Site, Depends(site_of)]
By = Annotated[Actor, Depends(actor_of)]
Asked = Annotated[PageRequest, Depends(page_of)]
Number = Annotated[int, PathParameter(ge=1, le=1_000_000)]


class NewResource(BaseModel):
    """What describes a resource before it has data."""

    name: str = Field(max_length=TEXT_CHARS_MAX)
    title: str = Field(max_length=TEXT_CHARS_MAX)
    summary: str = Field(max_length=TEXT_CHARS_MAX)
    theme: str = Field(max_length=TEXT_CHARS_MAX)
    update_cycle: str = Field(max_length=TEXT_CHARS_MAX)
    legal_basis: str = Field(max_length=TEXT_CHARS_MAX)


class Classification(BaseModel):
    """The confirmed meaning and grade of every column."""

    grades: list[ColumnGrade] = Field(max_length=3 * Limits.columns_max)


class Uses(BaseModel):
    """What may be done with the columns, and which of them are wider than their grade's default on purpose."""

    policy: ResourcePolicy
    confirmed_wider: list[str] = Field(default=[], max_length=3 * Limits.columns_max)


@router.post("", status_code=201, openapi_extra={"x-permission": Permission.SUPPLY_RESOURCE_CREATE.value})
def create_resource(site: Here, actor: By, body: NewResource) -> Resource:
    """Describe a new resource of one's own organisation."""
    return service.create_resource(site, actor, **body.model_dump())


@router.get("", openapi_extra=READS)
def list_resources(site: Here, actor: By, page: Asked) -> Page[Resource]:
    """List the resources that one may know of, newest first."""
    return service.list_resources(site, actor, page)


@router.get("/{resource_id}", openapi_extra=READS)
def get_resource(site: Here, actor: By, resource_id: str) -> Resource:
    """Show a resource."""
    return service.get_resource(site, actor, ResourceId(resource_id))


@router.post(
    "/{resource_id}/versions", status_code=201, openapi_extra={"x-permission": Permission.SUPPLY_RESOURCE_INGEST.value}
)
def ingest(site: Here, actor: By, resource_id: str, files: Annotated[list[UploadFile], File()]) -> ResourceVersion:
    """Make the files of a form the next version. Lines that cannot be read are set aside, never dropped."""
    uploads = [(upload.filename or "", upload.file) for upload in files]
    return service.ingest_uploads(site, actor, ResourceId(resource_id), uploads)


@router.get("/{resource_id}/versions", openapi_extra=READS)
def list_versions(site: Here, actor: By, resource_id: str, page: Asked) -> Page[ResourceVersion]:
    """List the versions of a resource, newest first."""
    return service.list_versions(site, actor, ResourceId(resource_id), page)


@router.get("/{resource_id}/versions/{number}", openapi_extra=READS)
def get_version(site: Here, actor: By, resource_id: str, number: Number) -> ResourceVersion:
    """Show a version: manifest, counts, profile, quality, proposals."""
    return service.get_version(site, actor, ResourceId(resource_id), number)


@router.get("/{resource_id}/versions/{number}/quarantine", openapi_extra=READS)
def list_quarantine(site: Here, actor: By, resource_id: str, number: Number, page: Asked) -> Page[QuarantinedLine]:
    """List the lines that were set aside; what stood in them is for the supplier's own people."""
    return service.list_quarantine(site, actor, ResourceId(resource_id), number, page)


@router.put(
    "/{resource_id}/classification", openapi_extra={"x-permission": Permission.SUPPLY_CLASSIFICATION_CONFIRM.value}
)
def confirm_classification(site: Here, actor: By, resource_id: str, body: Classification) -> Resource:
    """Confirm meaning and grade of every column of the latest version."""
    return service.confirm_classification(site, actor, ResourceId(resource_id), tuple(body.grades))


@router.get("/{resource_id}/uses/default", openapi_extra=READS)
def propose_policy(site: Here, actor: By, resource_id: str) -> ResourcePolicy:
    """Show the uses that follow from the grades alone: where the provider starts from."""
    return service.propose_policy(site, actor, ResourceId(resource_id))


@router.put("/{resource_id}/uses", openapi_extra={"x-permission": Permission.SUPPLY_USES_SET.value})
def set_uses(site: Here, actor: By, resource_id: str, body: Uses) -> Resource:
    """Set what may be done with the columns."""
    return service.set_uses(site, actor, ResourceId(resource_id), body.policy, frozenset(body.confirmed_wider))
