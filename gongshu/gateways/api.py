"""Two ways in: the registry of gateways over the control API, and the link that gateways themselves use.

The link takes signed messages (``POST /link/beat``, ``hand-over``, ``file``, ``segment``); it knows no person and no session.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool

from gongshu.access.types import Actor, Permission
from gongshu.base.decisions import Kind, Reason, Refused
from gongshu.base.site import Site
from gongshu.gateways import service
from gongshu.gateways.types import GatewaysShown, GatewayStatus, RegisteredGateway

router = APIRouter(tags=["gateways"])

LINK = "/link/"
LINK_BYTES_MAX = 72 << 20  # a whole usage segment and its seal
MESSAGE_BYTES_MAX = 64 << 10

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def site_of(request: Request) -> Site:
    """Return the site that serves the request."""
    return cast("Site", request.app.state.site)


def actor_of(request: Request) -> Actor:
    """Return who is asking, as resolved at the edge."""
    return cast("Actor", request.state.actor)


SiteOf = Annotated[Site, Depends(site_of)]
ActorOf = Annotated[Actor, Depends(actor_of)]


def needs(permission: Permission) -> dict[str, str]:
    """Return the row of the access matrix."""
    return {"x-permission": permission.value}


@dataclass(frozen=True)
class GatewayWish:
    """A gateway to register. Without ``public_key`` its key is made here, for one that shares this home folder."""

    name: str
    address: str
    public_key: str = ""


@dataclass(frozen=True)
class WriteOffWish:
    """Why a gateway is given up for lost."""

    reason: str


@dataclass(frozen=True)
class RegisteredView:
    """A gateway as it was registered."""

    name: str
    address: str
    public_key: str
    status: GatewayStatus


def _view(gateway: RegisteredGateway) -> RegisteredView:
    return RegisteredView(gateway.id, gateway.address, gateway.public_key, gateway.status)


@router.get("/gateways", openapi_extra=needs(Permission.READ_GATEWAY_VIEW))
def list_gateways(site: SiteOf, actor: ActorOf) -> GatewaysShown:
    """List the gateways: whether they are members, their leases, and when they were last heard of."""
    return service.list_gateways(site, actor)


@router.post("/gateways", status_code=201, openapi_extra=needs(Permission.ADMINISTER_GATEWAY_CHANGE))
def register_gateway(site: SiteOf, actor: ActorOf, wish: GatewayWish) -> RegisteredView:
    """Register a gateway; it becomes a member with its first sign of life."""
    return _view(service.register_gateway(site, actor, wish.name, wish.address, wish.public_key))


@router.post("/gateways/{name}/write-off", openapi_extra=needs(Permission.ADMINISTER_GATEWAY_CHANGE))
def write_off_gateway(site: SiteOf, actor: ActorOf, name: str, wish: WriteOffWish) -> RegisteredView:
    """Go on without a gateway whose last records cannot be had."""
    return _view(service.write_off_gateway(site, actor, name, wish.reason))


# ------------------------------------------------------------------------------------------------------------ the link


class LinkDoor:
    """ASGI: answers what gateways send to the control plane, before sessions, forms and small bodies are looked at."""

    def __init__(self, app: App, site: Site) -> None:
        """Wrap ``app``. What is known of gateways is looked up when the first one calls."""
        self.app, self._site = app, site
        self._control: service.Control | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve the link; pass everything else on."""
        if scope["type"] != "http" or not scope["path"].startswith(LINK) or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        kind = scope["path"].removeprefix(LINK)
        body = await read_body(receive, LINK_BYTES_MAX if kind == "segment" else MESSAGE_BYTES_MAX)
        if self._control is None:
            self._control = await run_in_threadpool(service.Control, self._site)
        control = self._control
        await answer(send, lambda: run_in_threadpool(control.answer, kind, body or b""))
        if kind == "beat":
            await run_in_threadpool(control.look_for_silent)


async def read_body(receive: Receive, bytes_max: int) -> bytes | None:
    """Return the body of a request; ``None`` when it is too long or its sender has gone."""
    parts, size = list[bytes](), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > bytes_max:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


async def answer(send: Send, make: Callable[[], Awaitable[bytes]]) -> None:
    """Send what ``make`` returns, or the code of its refusal."""
    try:
        status, body, media = 200, await make(), b"application/octet-stream"
    except Refused as refused:
        status, body, media = 409, _problem(refused.reasons), b"application/problem+json"
        if any(reason.rule.kind is Kind.UNAUTHENTICATED for reason in refused.reasons):
            status = 401
    headers = [(b"content-type", media), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _problem(reasons: tuple[Reason, ...]) -> bytes:
    first = reasons[0]
    return msgspec.json.encode({"code": first.code, "title": first.what.en, "detail": first.what.zh})
