"""A gateway among several: calls under a contract that lies with another gateway go one hop, to that one.

Around the gateway's application, which knows nothing of it. Which contract a call is made under is looked up by its key; for
a plain key that is one look into a dictionary.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

from gongshu.base.decisions import Kind, Reason, Refused
from gongshu.base.ids import ContractId
from gongshu.delivery import service
from gongshu.delivery.api.application import (
    CALLS_AT_ONCE_MAX,
    STATUS_OF,
    GatewayApp,
    Message,
    Receive,
    Send,
    problem_body,
)
from gongshu.gateways import service as gateways
from gongshu.gateways.types import Member, Standing
from gongshu.metering import service as metering
from gongshu.metering.types import MeterUnavailable

LINK_PATH = "/link/hand-over"
LINK_BYTES_MAX = 64 << 10
CALLS = "/v1/"
HOP_CLIENT = "another-gateway"
OWNER = b"x-gongshu-gateway"
KEYS_REMEMBERED_MAX = 200_000
RETRY_SECONDS = 1
BODIES = {"bulk": (service.BULK_BYTES_MAX, 4), "batch": (service.BATCH_BYTES_MAX, 64)}
"""The most bytes of a body by the last part of its path, and how many of them are read at once."""

OpenMembership = Callable[[metering.Meter, Callable[[], bool]], gateways.Membership]


class SpreadApp:
    """ASGI: the application of one of several gateways."""

    def __init__(
        self, open_gateway: Callable[[], service.Gateway], open_membership: OpenMembership, hops: gateways.Hops,
        proxies: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        """Open nothing yet. ``proxies`` are the addresses whose word on the caller's address and certificate is taken."""
        self._open_gateway, self._open_membership, self._hops, self._proxies = (
            open_gateway,
            open_membership,
            hops,
            proxies,
        )
        self._app = GatewayApp(self._open, proxies | {HOP_CLIENT})
        self._gateway: service.Gateway | None = None
        self.membership: gateways.Membership | None = None
        self._contracts: dict[bytes, ContractId] = {}
        self._reading: Counter[int] = Counter()  # bodies by their greatest length
        self._beating: asyncio.Task[None] | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request, or the life of the server."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(scope, receive, send)

    # ----------------------------------------------------------------------------------------------------------- life

    def _open(self) -> service.Gateway:
        gateway = self._gateway = self._open_gateway()
        membership = self.membership = self._open_membership(gateway.meter, lambda: gateway.unready() is None)
        gateway.tell_also(membership.states)
        self._beating = asyncio.create_task(membership.run())
        return gateway

    def open(self) -> None:
        """Open the gateway and beat from now on."""
        self._app.open()

    async def close(self) -> None:
        """Answer nothing more, seal, and tell the control plane that others may go on."""
        await self._stop()
        await self._app.close()
        await self._leave()

    async def _stop(self) -> None:
        if self.membership is not None:
            self.membership.stop()
        if self._beating is not None:
            self._beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beating

    async def _leave(self) -> None:
        if self.membership is not None:
            await self.membership.leave()
        self._hops.close()

    async def _live(self, scope: Message, receive: Receive, send: Send) -> None:
        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._stop()
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                await self._leave()
            await send(message)

        await self._app(scope, receiving, sending)

    # ------------------------------------------------------------------------------------------------------- requests

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        path, membership = scope["path"], self.membership
        if membership is None or self._gateway is None:
            await self._app(scope, receive, send)
        elif path.startswith(CALLS):
            await self._call(self._gateway, membership, scope, receive, send)
        elif path == "/readyz" and membership.lease_seconds_left <= 0:
            await _refuse(send, gateways.LEASE_ENDED.because())
        elif path == LINK_PATH and scope["method"] == "POST":
            await _link(membership, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _call(
        self, gateway: service.Gateway, membership: gateways.Membership, scope: Message, receive: Receive, send: Send
    ) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if any(name == b"x-gongshu-hop" for name, _ in headers):
            await self._arrived(gateway, membership, scope, receive, send)
            return
        contract = self._contract_of(gateway, headers)
        standing, member = (Standing.HELD, None) if contract is None else membership.place_of(contract)
        if standing is Standing.HELD:
            await self._app(scope, receive, send)
        elif member is None:
            reason = gateways.LEASE_ENDED if standing is Standing.NOWHERE else gateways.CONTRACT_MOVING
            await _refuse(send, reason.because())
        else:
            await self._forward(membership, member, scope, receive, send)

    def _contract_of(self, gateway: service.Gateway, headers: list[tuple[bytes, bytes]]) -> ContractId | None:
        """Return the contract that a call's key belongs to; a key never changes its contract, so it is remembered."""
        proof = dict(headers).get(b"authorization", b"")  # the last one, as the gateway itself reads it
        known = self._contracts.get(proof)
        if known is not None:
            return known
        found = gateway.opening.contract_of(proof)
        if found is not None and proof[:7].lower() == b"bearer ":
            if len(self._contracts) >= KEYS_REMEMBERED_MAX:
                self._contracts.clear()
            self._contracts[proof] = found
        return found

    # ------------------------------------------------------------------------------------------------------------ hops

    async def _forward(
        self, membership: gateways.Membership, member: Member, scope: Message, receive: Receive, send: Send
    ) -> None:
        body = await self._read(scope, receive, send)
        if body is None:
            return
        address, certificate = self._caller(scope)
        membership.forwarded += 1
        relay = _Relay(send, member.name)
        try:
            await self._hops.forward(
                member, scope["method"], _target(scope), scope["headers"], body, address, certificate, relay
            )
            await relay.end()
        except gateways.Unreachable:
            await _refuse(send, gateways.PEER_AWAY.because())

    async def _read(self, scope: Message, receive: Receive, send: Send) -> bytes | None:
        """Return the body of a call on its hop; ``None`` once it is refused: too long, or too many long ones at once."""
        action = scope["path"].rpartition("/")[2]
        bytes_max, at_once_max = BODIES.get(action, (service.BODY_BYTES_MAX, CALLS_AT_ONCE_MAX))
        if self._reading[bytes_max] >= at_once_max:
            await _refuse(send, service.GATEWAY_BUSY.because(), close=True)
            return None
        self._reading[bytes_max] += 1
        try:
            body = await _whole(receive, bytes_max)
        finally:
            self._reading[bytes_max] -= 1
        if body is None:
            await _refuse(send, service.BODY_TOO_LONG.because(bytes_max=bytes_max), close=True)
        return body

    def _caller(self, scope: Message) -> tuple[str, str]:
        """Return the caller's address and certificate, as the gateway itself would believe them."""
        address = scope["client"][0] if scope.get("client") else ""
        if address not in self._proxies:
            return address, ""
        headers = dict(scope["headers"])
        forwarded = headers.get(b"x-forwarded-for", b"").decode("ascii", "replace").rpartition(",")[2].strip()
        return forwarded or address, headers.get(b"x-client-certificate", b"").decode("ascii", "replace")

    async def _arrived(
        self, gateway: service.Gateway, membership: gateways.Membership, scope: Message, receive: Receive, send: Send
    ) -> None:
        """Serve a call that another gateway handed on. It goes no further: what lies elsewhere by now is turned away."""
        body = await self._read(scope, receive, send)
        if body is None:
            return
        caller = self._hops.came_from(scope["method"], _target(scope), scope["headers"], body)
        if caller is None:
            await _refuse(send, gateways.GATEWAY_UNKNOWN.because())
            return
        contract = self._contract_of(gateway, scope["headers"])
        if contract is not None and membership.place_of(contract)[0] is not Standing.HELD:
            await _refuse(send, gateways.CONTRACT_ELSEWHERE.because())
            return
        address, certificate = caller
        taken = {b"x-forwarded-for", b"x-client-certificate"}
        headers = [(name, value) for name, value in scope["headers"] if name not in taken]
        headers += [(b"x-forwarded-for", address.encode()), (b"x-client-certificate", certificate.encode())]
        await self._app({**scope, "client": (HOP_CLIENT, 0), "headers": headers}, _replaying(body, receive), send)


class _Relay:
    """Passes the answer of another gateway on as it comes."""

    def __init__(self, send: Send, owner: str) -> None:
        self._send, self._owner, self._left = send, owner, 0

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        length = next((value for name, value in headers if name == b"content-length"), b"")
        self._left = int(length) if length.isdigit() else -1
        kept = [
            (name, value) for name, value in headers if name not in {b"connection", b"transfer-encoding", b"keep-alive"}
        ]
        kept.append((OWNER, self._owner.encode()))  # a balancer that goes by it saves the hop
        await self._send({"type": "http.response.start", "status": status, "headers": kept})
        if not self._left:
            await self._send({"type": "http.response.body", "body": b""})

    async def part(self, data: bytes) -> None:
        self._left -= len(data) if self._left > 0 else 0
        await self._send({"type": "http.response.body", "body": data, "more_body": self._left != 0})

    async def end(self) -> None:
        """End an answer whose length was not told before, or that has no body."""
        if self._left:
            await self._send({"type": "http.response.body", "body": b""})


def _target(scope: Message) -> str:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope.get("query_string", b"")
    return (path + b"?" + query if query else path).decode("latin-1")


async def _whole(receive: Receive, bytes_max: int) -> bytes | None:
    """Return the body; ``None`` when it is too long."""
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > bytes_max:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return body


def _replaying(body: bytes, receive: Receive) -> Receive:
    is_given = False

    async def replayed() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _link(membership: gateways.Membership, receive: Receive, send: Send) -> None:
    body = await _whole(receive, LINK_BYTES_MAX)
    try:
        made = await membership.hand_over(body or b"")
    except Refused as refused:
        await _refuse(send, *refused.reasons)
        return
    except MeterUnavailable:
        await _refuse(send, gateways.CONTRACT_MOVING.because())
        return
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", str(len(made)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": made})


async def _refuse(send: Send, *reasons: Reason, close: bool = False) -> None:
    kinds = [reason.rule.kind for reason in reasons]
    status = STATUS_OF[min(kinds, key=list(Kind).index)]
    body = problem_body(reasons, status, "")
    headers: list[Any] = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    if status == STATUS_OF[Kind.UNAVAILABLE]:
        headers.append((b"retry-after", str(RETRY_SECONDS).encode()))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
