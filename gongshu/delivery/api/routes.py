"""Keys of consumers, and the calls under a contract, over HTTP."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast

from fastapi import APIRouter, Depends, File, Query, Request, UploadFile

from gongshu.access.types import Actor, Permission
from gongshu.base.ids import ContractId, KeyId, ProductId
from gongshu.base.paging import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site
from gongshu.delivery import service
from gongshu.delivery.types import ApiKey, KeyKind
from gongshu.egress.types import CopyEvidence
from gongshu.metering.types import UsageRecord

router = APIRouter(tags=["delivery"])


def site_of(request: Request) -> Site:
    """Return the site that serves the request."""
    return cast("Site", request.app.state.site)


def actor_of(request: Request) -> Actor:
    """Return who is asking, as resolved at the edge."""
    return cast("Actor", request.state.actor)


def page_of(limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT, after: str = "") -> PageRequest:
    """Return which part of a list is asked for."""
    return PageRequest(limit, after)


SiteOf = Annotated[Site, Depends(site_of)]
ActorOf = Annotated[Actor, Depends(actor_of)]
PageOf = Annotated[PageRequest, Depends(page_of)]


def needs(permission: Permission) -> dict[str, str]:
    """Return the row of the access matrix."""
    return {"x-permission": permission.value}


@dataclass(frozen=True)
class KeyView:
    """A key as its holder sees it. The hash of the secret stays inside."""

    id: KeyId
    contract: ContractId
    created_at: datetime
    revoked_at: datetime | None
    kind: KeyKind


@dataclass(frozen=True)
class CreatedKeyView:
    """A new key with its secret, which is shown this once."""

    key: KeyView
    secret: str


def _view(key: ApiKey) -> KeyView:
    return KeyView(key.id, key.contract, key.created_at, key.revoked_at, key.kind)


@router.post("/contracts/{contract_id}/keys", status_code=201, openapi_extra=needs(Permission.CONSUME_KEY_CREATE))
def create_key(site: SiteOf, actor: ActorOf, contract_id: ContractId, kind: KeyKind = KeyKind.PLAIN) -> CreatedKeyView:
    """Create a key for the organisation's own contract. The secret is shown this once."""
    secret, key = service.create_key(site, actor, contract_id, kind)
    return CreatedKeyView(_view(key), secret)


@router.get("/contracts/{contract_id}/keys", openapi_extra=needs(Permission.CONSUME_KEY_CREATE))
def list_keys(site: SiteOf, actor: ActorOf, contract_id: ContractId, page: PageOf) -> Page[KeyView]:
    """List the keys of a contract, newest first."""
    found = service.list_keys(site, actor, contract_id, page)
    return Page(tuple(_view(key) for key in found.rows), found.next_after)


@router.post("/keys/{key_id}/revoke", openapi_extra=needs(Permission.CONSUME_KEY_CREATE))
def revoke_key(site: SiteOf, actor: ActorOf, key_id: KeyId) -> KeyView:
    """Revoke a key. Calls with it are refused within two seconds."""
    return _view(service.revoke_key(site, actor, key_id))


@router.get("/contracts/{contract_id}/calls", openapi_extra=needs(Permission.READ_CONTRACT_VIEW))
def list_calls(site: SiteOf, actor: ActorOf, contract_id: ContractId, page: PageOf) -> Page[UsageRecord]:
    """List the calls under a contract, newest first, refused ones included."""
    return service.list_calls(site, actor, contract_id, page)


@dataclass(frozen=True)
class CopyTraceView:
    """Whose copy a file is. ``named`` is empty when the evidence is too weak to name anybody."""

    product: ProductId
    rows_in_file: int
    rows_found: int
    named: str
    evidence: tuple[CopyEvidence, ...]
    zeros_min: int


@router.post("/copies/trace", openapi_extra=needs(Permission.OPERATE_PRODUCT_WRITE))
def trace_copy(site: SiteOf, actor: ActorOf, file: Annotated[UploadFile, File()]) -> CopyTraceView:
    """Say whose copy of a data package a file is, with the bound of being wrong. The file is not kept."""
    found = service.trace_upload(site, actor, file.filename or "", file.file)
    named = found.named.contract if found.named else ""
    return CopyTraceView(
        found.product, found.rows_in_file, found.rows_found, named, found.evidence[:20], found.zeros_min
    )
