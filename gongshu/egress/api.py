"""Outputs, reviews and releases over HTTP."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request

from gongshu.access.types import Actor, Permission
from gongshu.base.ids import OutputId, ReleaseId
from gongshu.base.paging import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site
from gongshu.egress import service
from gongshu.egress.types import Output, OutputStatus, Preview, Release, ReviewKind

router = APIRouter(tags=["egress"])

VIEW = {"x-permission": Permission.READ_OUTPUT_VIEW.value}
VOTE = {"x-permission": Permission.REVIEW_OUTPUT_VOTE.value}
RELEASE = {"x-permission": Permission.OPERATE_RELEASE_WRITE.value}


def site_of(request: Request) -> Site:
    """Return the site of the running server."""
    return cast("Site", request.app.state.site)


def actor_of(request: Request) -> Actor:
    """Return who asks, as resolved at the edge."""
    return cast("Actor", request.state.actor)


def page_of(
    limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT,
    after: Annotated[str, Query(max_length=80)] = "",
) -> PageRequest:
    """Return the part of a list that is asked for."""
    return PageRequest(limit, after)


Here = Annotated[Site, Depends(site_of)]
By = Annotated[Actor, Depends(actor_of)]
Asked = Annotated[PageRequest, Depends(page_of)]


@dataclass(frozen=True)
class Submission:
    """What the output is, how it was made, who will use it."""

    context: str


@dataclass(frozen=True)
class NewVote:
    """A review, bound to the digest that was looked at."""

    kind: ReviewKind
    digest: str
    approves: bool
    reason: str


@router.get("/outputs", openapi_extra=VIEW)
def list_outputs(site: Here, actor: By, page: Asked, status: OutputStatus | None = None) -> Page[Output]:
    """List outputs, newest first."""
    return service.list_outputs(site, actor, page, status=status)


@router.get("/outputs/{output_id}", openapi_extra=VIEW)
def get_output(site: Here, actor: By, output_id: OutputId) -> Output:
    """Show an output: files, findings, and the votes once both are in."""
    return service.get_output(site, actor, output_id)


# A view of rows is a change of the log: every one is recorded.
@router.post("/outputs/{output_id}/previews", openapi_extra=VIEW)
def preview_output(
    site: Here, actor: By, output_id: OutputId, page: Asked, file: Annotated[str, Query(max_length=80)] = ""
) -> Preview:
    """Show rows of a quarantined table, or lines of a text, to a reviewer; the first readable file unless one is named."""
    return service.preview_output(site, actor, output_id, page, file=file)


@router.post("/outputs/{output_id}/submit", openapi_extra={"x-permission": Permission.DEVELOP_OUTPUT_SUBMIT.value})
def submit_for_review(site: Here, actor: By, output_id: OutputId, body: Submission) -> Output:
    """Ask for the two reviews."""
    return service.submit_for_review(site, actor, output_id, body.context)


@router.post("/outputs/{output_id}/votes", status_code=201, openapi_extra=VOTE)
def vote(site: Here, actor: By, output_id: OutputId, body: NewVote) -> Output:
    """Give one of the two reviews."""
    return service.vote(site, actor, output_id, body.kind, body.digest, approves=body.approves, reason=body.reason)


@router.post("/outputs/{output_id}/release", status_code=201, openapi_extra=RELEASE)
def release(site: Here, actor: By, output_id: OutputId) -> Release:
    """Let exactly the reviewed bytes leave."""
    return service.release(site, actor, output_id)


@router.get("/releases", openapi_extra=VIEW)
def list_releases(site: Here, actor: By, page: Asked) -> Page[Release]:
    """List releases, newest first."""
    return service.list_releases(site, actor, page)


@router.get("/releases/{release_id}", openapi_extra=VIEW)
def get_release(site: Here, actor: By, release_id: ReleaseId) -> Release:
    """Show a release and the two reviews that it rests on."""
    return service.get_release(site, actor, release_id)
