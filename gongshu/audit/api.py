"""HTTP: entries, proofs, traces; and the files of the log, so that standard tools can follow it."""

from dataclasses import dataclass
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Depends, Query, Request, Response

from gongshu.access.types import Actor, Permission
from gongshu.audit import service
from gongshu.audit.types import Entry, Trace
from gongshu.base.paging import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site

TEXT = "text/plain; charset=utf-8"
PUBLIC = {"x-permission": "public"}
READ_LOG = {"x-permission": Permission.AUDIT_LOG_READ.value}
READ_TRACE = {"x-permission": Permission.AUDIT_TRACE_READ.value}


def site_of(request: Request) -> Site:
    """Return the site of the application."""
    return cast(Site, request.app.state.site)


def actor_of(request: Request) -> Actor:
    """Return who calls."""
    return cast(Actor, request.state.actor)


SiteHere = Annotated[Site, Depends(site_of)]
ActorHere = Annotated[Actor, Depends(actor_of)]


@dataclass(frozen=True)
class CheckpointView:
    """The newest checkpoint, and the key that verifies it."""

    origin: str
    size: int
    root: str
    note: str
    public_key: str


log = APIRouter(prefix="/audit", tags=["audit"])
files = APIRouter(prefix="/tlog", tags=["audit"])


@log.get("/entries", openapi_extra=READ_LOG)
def list_entries(
    site: SiteHere,
    actor: ActorHere,
    *,
    subject_id: str = "",
    action: str = "",
    party: str = "",
    outcome: Literal["", "permitted", "denied"] = "",
    limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT,
    after: str = "",
) -> Page[Entry]:
    """List decisions, also refusals, newest first."""
    page = PageRequest(limit, after)
    return service.list_entries(
        site, actor, page, subject_id=subject_id, action=action, party=party, outcome=outcome
    )  # fmt: skip


@log.get("/entries/{entry_id}", openapi_extra=READ_LOG)
def get_entry(site: SiteHere, actor: ActorHere, entry_id: str) -> Entry:
    """Return one entry."""
    return service.get_entry(site, actor, entry_id)


@log.get(
    "/entries/{entry_id}/proof", openapi_extra=READ_LOG, response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "C2SP tlog-proof"}},
)  # fmt: skip
def get_proof(site: SiteHere, actor: ActorHere, entry_id: str) -> Response:
    """Return the inclusion proof of an entry, for `tools/verify_inclusion.py` or any tlog-proof verifier."""
    return Response(service.read_proof(site, actor, entry_id), media_type=TEXT)


@log.get("/checkpoint", openapi_extra=PUBLIC)
def get_checkpoint(site: SiteHere) -> CheckpointView:
    """Return the newest checkpoint and the key that verifies it. Keep it: a later log must contain it."""
    newest = service.checkpoint(site)
    return CheckpointView(newest.origin, newest.size, newest.root.hex(), newest.note, service.public_key(site))


@log.get("/trace/{direction}", openapi_extra=READ_TRACE)
def get_trace(
    site: SiteHere,
    actor: ActorHere,
    direction: Literal["back", "forward"],
    kind: str,
    id: str,  # noqa: A002
) -> Trace:
    """Return what an object came from, or what came of it."""
    return service.read_trace(site, actor, direction, kind, id)


@files.get(
    "/checkpoint", openapi_extra=PUBLIC, response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "C2SP tlog-checkpoint"}},
)  # fmt: skip
def get_checkpoint_file(site: SiteHere, actor: ActorHere) -> Response:
    """Return the signed checkpoint as C2SP tlog-tiles asks."""
    data = service.read_log_file(site, actor, "checkpoint")
    return Response(data, media_type=TEXT, headers={"Cache-Control": "no-cache"})


@files.get(
    "/tile/{path:path}", openapi_extra=PUBLIC, response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "C2SP tlog-tiles"}},
)  # fmt: skip
def get_tile(site: SiteHere, actor: ActorHere, path: str) -> Response:
    """Return a tile of hashes to everybody, or a bundle of entries (`tile/entries/…`) to those who may read the log."""
    data = service.read_log_file(site, actor, f"tile/{path}")
    is_entries = path.startswith("entries/")
    caching = "private, max-age=31536000, immutable" if is_entries else "public, max-age=31536000, immutable"
    return Response(data, media_type="application/octet-stream", headers={"Cache-Control": caching})


router = APIRouter()
router.include_router(log)
router.include_router(files)
