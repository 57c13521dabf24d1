"""The gateway's ASGI application: no framework between a call and its answer. See ``gateway`` for how it is run.

An answer has the same length whatever the result, and nothing that a caller sent is repeated or logged.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from typing import Any

import msgspec

from gongshu.base.decisions import Kind, Reason
from gongshu.base.signing import read_header
from gongshu.delivery import service
from gongshu.delivery.api.downloads import fields_of, send_file
from gongshu.delivery.api.process import WHOLE
from gongshu.delivery.types import Answered, BatchAnswered, BulkTask, IncomingCall, Receipt, Turned
from gongshu.metering.types import ResultCode

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Handler = Callable[[service.Gateway, frozenset[str], Message, Receive, Send], Awaitable[None]]

ANSWER_BYTES = 1024
CALLS_AT_ONCE_MAX = 2048
BATCHES_AT_ONCE_MAX = 128
UPLOADS_AT_ONCE_MAX = 4
TICK_SECONDS = 0.05
_PRODUCTS, _BULK = "/v1/products/", "/v1/bulk/"
LOOPBACK = frozenset({"127.0.0.1", "::1"})

STATUS_OF: dict[Kind, int] = {
    Kind.INVALID: 422, Kind.UNAUTHENTICATED: 401, Kind.FORBIDDEN: 403, Kind.NOT_FOUND: 404, Kind.CONFLICT: 409,
    Kind.LIMIT_EXCEEDED: 429, Kind.UNAVAILABLE: 503, Kind.INTERNAL: 500,
}  # fmt: skip

_JSON = (b"content-type", b"application/json")
_ANSWER_START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"application/json"),
        (b"content-length", str(ANSWER_BYTES).encode()),
    ],
}

_ANSWER_HEAD = b"".join(
    (b"HTTP/1.1 200 OK\r\n", *(name + b": " + value + b"\r\n" for name, value in _ANSWER_START["headers"]), b"\r\n")
)
_NONE: dict[str, Any] = {}


class VerifyAnswer(msgspec.Struct, frozen=True):
    """What a caller is told of a call that was served."""

    code: int
    result: ResultCode
    receipt: Receipt


class BulkAnswer(msgspec.Struct, frozen=True, rename={"id": "task"}):
    """What a caller is told of its bulk task."""

    id: str
    product: str
    status: str
    items: int
    done: int
    answered: int
    at: datetime
    ended_at: datetime | None
    stop_code: str


class _Common(msgspec.Struct, frozen=True):
    """What stands once in the answer to a batch."""

    code: int
    request_id: str
    contract: str
    contract_digest: str
    product: str
    product_digest: str
    snapshot: int
    at: datetime
    items: tuple[()] = ()


_encode = msgspec.json.Encoder().encode


def answer_body(receipt: Receipt) -> bytes:
    """Return the body of an answer: padded with blanks, so that its length does not tell the result."""
    body = _encode(VerifyAnswer(service.NDI_OK, receipt.result, receipt))
    if len(body) > ANSWER_BYTES:
        raise ValueError("a receipt is longer than an answer may be")
    return body.ljust(ANSWER_BYTES, b" ")


def content_body(answered: Answered) -> bytes:
    """Return the body of an answer with content: its length tells that of the content and nothing else."""
    return b'{"content":' + answered.content + b"," + answer_body(answered.receipt)[1:]


def batch_body(answered: BatchAnswered) -> bytes:
    """Return the body of a batch: each item padded, so that its length tells its id and nothing else."""
    common = _encode(_Common(*(getattr(answered, name) for name in _Common.__struct_fields__[:-1])))
    items = b",".join(map(service.item_line, answered.items, answered.contents))
    return common.replace(b'"items":[]', b'"items":[' + items + b"]")


def bulk_body(task: BulkTask) -> bytes:
    """Return what a caller is told of its bulk task: ``working``, ``done``, or ``stopped`` and why."""
    status = "working" if task.ended_at is None else "stopped" if task.stop_code else "done"
    return _encode(
        BulkAnswer(
            task.id, task.product, status, task.items, task.done, task.answered, task.at, task.ended_at, task.stop_code
        )
    )


def problem_body(reasons: tuple[Reason, ...], status: int, call: str) -> bytes:
    """Return the RFC 9457 object of a refusal, with the NDI-TR-2025-05 number and the position of its record."""
    first = reasons[0]
    return _encode(
        {
            "type": f"/docs/reasons#{first.code}",
            "title": first.what.en,
            "status": status,
            "detail": first.what.zh,
            "code": first.code,
            "ndi_code": service.ndi_code(first.code),
            "call": call,
            "reasons": [
                {
                    "code": reason.code,
                    "ndi_code": service.ndi_code(reason.code),
                    "law": reason.rule.law,
                    "what": {"zh": reason.what.zh, "en": reason.what.en},
                    "fix": {"zh": reason.fix.zh, "en": reason.fix.en},
                }
                for reason in reasons
            ],
        }
    )


class GatewayApp:
    """ASGI: ``POST /v1/products/<id>/<action or batch>``, ``GET`` for files, ``GET /healthz``, ``GET /readyz``, and its life."""

    def __init__(self, open_gateway: Callable[[], service.Gateway], proxies: frozenset[str] = frozenset()) -> None:
        """Open nothing yet: the gateway is opened when the server starts.

        ``proxies`` are the addresses whose word on the caller's address and certificate is taken.
        """
        self._open_gateway, self._proxies = open_gateway, proxies
        self._gateway: service.Gateway | None = None
        self._running = 0
        self._ticking: asyncio.Task[None] | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection's request, or the life of the server."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    # ----------------------------------------------------------------------------------------------------------- life

    def open(self) -> None:
        """Open the gateway and follow its snapshot from now on."""
        self._gateway = self._open_gateway()
        self._gateway.bulk.start()
        self._ticking = asyncio.create_task(self._tick(self._gateway))

    async def close(self) -> None:
        """Stop serving, and seal what was recorded."""
        gateway, self._gateway = self._gateway, None
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        if gateway is not None:
            await gateway.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self.open()
        except Exception as error:  # noqa: BLE001 - told to the server, which ends
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    @staticmethod
    async def _tick(gateway: service.Gateway) -> None:
        while True:
            await gateway.tick()
            await asyncio.sleep(TICK_SECONDS)

    # ------------------------------------------------------------------------------------------------------- requests

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        gateway, path = self._gateway, scope["path"]
        if gateway is None or self._running >= CALLS_AT_ONCE_MAX:
            await _refuse(send, Turned((service.GATEWAY_BUSY.because(),), retry_after_seconds=1))
        elif (handler := _handler_of(scope["method"], path)) is not None:
            self._running += 1
            try:
                await handler(gateway, self._proxies, scope, receive, send)
            finally:
                self._running -= 1
        elif scope["method"] in {"GET", "HEAD"} and path == "/healthz":
            await _plain(send, 200, b'{"status":"ok"}')
        elif scope["method"] == "GET" and path == "/metrics" and _is_local(scope):
            await _plain(send, 200, gateway.measures.text(), [(b"content-type", service.METRICS_TYPE.encode())])
        elif scope["method"] in {"GET", "HEAD"} and path == "/readyz":
            unready = gateway.unready()
            if unready is None:
                await _plain(send, 200, b'{"status":"ready"}')
            else:
                await _refuse(send, Turned((unready,), retry_after_seconds=1))
        else:
            await _refuse(send, Turned((service.GATEWAY_ROUTE_UNKNOWN.because(),)))


def _handler_of(method: str, path: str) -> Handler | None:
    """Return what serves a request about a product or a bulk task."""
    if path.startswith(_BULK):
        return _bulk
    if not path.startswith(_PRODUCTS):
        return None
    action = path.rpartition("/")[2]
    if method == "POST":
        return _call if action in service.ACTIONS else {"batch": _batch, "bulk": _take_bulk}.get(action)
    return _download if method == "GET" and action in service.FILE_ACTIONS else None


def _is_local(scope: Message) -> bool:
    """Whether a request comes from this machine, and not through a proxy on it: counts are nobody else's business."""
    address = scope["client"][0] if scope.get("client") else ""
    return address in LOOPBACK and all(name != b"x-forwarded-for" for name, _ in scope["headers"])


async def _read_call(
    gateway: service.Gateway, proxies: frozenset[str], scope: Message, receive: Receive, bytes_max: int
) -> IncomingCall | None:
    """Return a call as it arrived, or ``None`` when the caller has gone."""
    headers = dict(scope["headers"])  # of a name that comes twice the last one counts
    tracing = gateway.tracing
    trace = None if tracing is None else tracing.begin(headers.get(b"traceparent", b""))
    proof = headers.get(b"authorization", b"")
    is_plain = proof[:7].lower() == b"bearer "
    address = scope["client"][0] if scope.get("client") else ""
    certificate = b""
    if address in proxies:  # the last hop that the proxy itself saw
        forwarded = headers.get(b"x-forwarded-for", b"")
        address = forwarded.decode("ascii", "replace").rpartition(",")[2].strip() or address
        certificate = headers.get(b"x-client-certificate", b"")
    message = await receive()
    body = message.get("body", b"")
    if message.get("more_body"):
        parts, size = [body], len(body)
        while message.get("more_body") and size <= bytes_max:
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        body = b"".join(parts)
    if message["type"] == "http.disconnect":
        return None  # nobody is there to be answered, and nothing was charged
    is_too_long = len(body) > bytes_max
    return IncomingCall(
        scope["path"], proof[7:] if is_plain else b"", headers.get(b"x-request-id", b"").decode("ascii", "replace"),
        headers.get(b"x-purpose", b"").decode("utf-8", "replace"), b"" if is_too_long else body, is_too_long, address,
        certificate.decode("ascii", "replace").lower(),
        None if is_plain or not proof else read_header(proof.decode("ascii", "replace")),
        headers.get(b"x-timestamp", b"").decode("ascii", "replace"), headers.get(b"x-nonce", b"").decode("ascii", "replace"),
        headers.get(b"x-consent", b"").decode("ascii", "replace"), trace=trace,
    )  # fmt: skip


async def _batch(
    gateway: service.Gateway, proxies: frozenset[str], scope: Message, receive: Receive, send: Send
) -> None:
    """Answer a batch. Only who shows a key that is known may send so long a body, and only so many at once."""
    proof = dict(scope["headers"]).get(b"authorization", b"")
    is_known = gateway.is_known(proof)
    if is_known and gateway.batches >= BATCHES_AT_ONCE_MAX:
        await _refuse(send, Turned((service.GATEWAY_BUSY.because(),), retry_after_seconds=1), close=True)
        return
    gateway.batches += is_known
    try:
        call = await _read_call(gateway, proxies, scope, receive, service.BATCH_BYTES_MAX if is_known else 0)
        if call is None:
            return
        outcome = await gateway.answer_batch(call)
    finally:
        gateway.batches -= is_known
    if isinstance(outcome, Turned):
        await _refuse(send, outcome, close=call.is_body_too_long)
    else:
        await _plain(send, 200, batch_body(outcome))


async def _take_bulk(
    gateway: service.Gateway, proxies: frozenset[str], scope: Message, receive: Receive, send: Send
) -> None:
    """Take a bulk task. Only who shows a key that is known may send so long a body, and only a few at once."""
    proof = dict(scope["headers"]).get(b"authorization", b"")
    is_known = gateway.is_known(proof)
    if is_known and gateway.uploads >= UPLOADS_AT_ONCE_MAX:
        await _refuse(send, Turned((service.GATEWAY_BUSY.because(),), retry_after_seconds=1), close=True)
        return
    gateway.uploads += 1
    try:
        call = await _read_call(gateway, proxies, scope, receive, service.BULK_BYTES_MAX if is_known else 0)
        if call is None:
            return
        task = await gateway.take_bulk(call)
    finally:
        gateway.uploads -= 1
    if isinstance(task, Turned):
        await _refuse(send, task, close=call.is_body_too_long)
    else:
        await _plain(send, 202, bulk_body(task), [_JSON, (b"location", f"{_BULK}{task.id}".encode())])


async def _bulk(
    gateway: service.Gateway, proxies: frozenset[str], scope: Message, receive: Receive, send: Send
) -> None:
    """Tell how far a bulk task is, send its results, drop it."""
    read = await _read_call(gateway, proxies, scope, receive, service.BODY_BYTES_MAX)
    if read is None:
        return
    call = msgspec.structs.replace(read, method=scope["method"])
    name, _, part = scope["path"].removeprefix(_BULK).partition("/")
    found = gateway.find_bulk(call, name)
    if isinstance(found, Turned):
        await _refuse(send, found)
    elif (call.method, part) == ("GET", ""):
        await _plain(send, 200, bulk_body(found))
    elif (call.method, part) == ("GET", "results"):
        await _plain(send, 200, await gateway.bulk.results(found), [(b"content-type", b"application/x-ndjson")])
    elif (call.method, part) == ("DELETE", ""):
        await gateway.bulk.drop(found)
        await _plain(send, 200, bulk_body(found))
    else:
        await _refuse(send, Turned((service.GATEWAY_ROUTE_UNKNOWN.because(),)))


async def _call(
    gateway: service.Gateway, proxies: frozenset[str], scope: Message, receive: Receive, send: Send
) -> None:
    call = await _read_call(gateway, proxies, scope, receive, service.BODY_BYTES_MAX)
    if call is None:
        return
    outcome = await gateway.answer(call)
    if isinstance(outcome, Turned):
        await _refuse(send, outcome, close=call.is_body_too_long)
    elif not outcome.content:
        body, whole = answer_body(outcome.receipt), scope.get("extensions", _NONE).get(WHOLE)
        if whole is None or not whole(_ANSWER_HEAD + body):
            await send(_ANSWER_START)
            await send({"type": "http.response.body", "body": body})
    elif not outcome.media:
        await _plain(send, 200, content_body(outcome))
    else:
        receipt = (b"x-receipt", _encode(outcome.receipt))
        await _plain(send, 200, outcome.content, [(b"content-type", outcome.media.encode()), receipt])


async def _download(
    gateway: service.Gateway, proxies: frozenset[str], scope: Message, receive: Receive, send: Send
) -> None:
    call = await _read_call(gateway, proxies, scope, receive, 0)
    if call is None:
        return
    query = scope["query_string"]
    asked = msgspec.structs.replace(
        call, method="GET", query=query.decode("ascii", "replace"), body=fields_of(query), is_body_too_long=False
    )
    outcome = await gateway.answer(asked)
    if isinstance(outcome, Turned):
        await _refuse(send, outcome, close=call.is_body_too_long)
    else:
        await send_file(outcome, scope, send)


async def _refuse(send: Send, turned: Turned, *, close: bool = False) -> None:
    kinds = [reason.rule.kind for reason in turned.reasons]
    status = STATUS_OF[min(kinds, key=list(Kind).index)]
    body = problem_body(turned.reasons, status, turned.call)
    headers = [(b"content-type", b"application/problem+json")]
    if turned.retry_after_seconds:
        headers.append((b"retry-after", str(turned.retry_after_seconds).encode()))
    if status == STATUS_OF[Kind.UNAUTHENTICATED]:
        headers.append((b"www-authenticate", b"Bearer"))
    if close:
        headers.append((b"connection", b"close"))
    await _plain(send, status, body, headers)


async def _plain(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    given = headers or [(b"content-type", b"application/json")]
    given += [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body})
