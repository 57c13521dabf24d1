"""The edge: who is calling (resolved once), forged forms refused, repeated creations answered from memory.

Three ASGI layers, outermost first: ``Identify``, ``RefuseForgery``, ``Repeatable``.
"""

import hmac
from datetime import datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gongshu.access.types import Actor, Role
from gongshu.base.decisions import Kind, Reason, rule
from gongshu.base.digest import sha256_hex
from gongshu.base.ids import PartyId, PersonId
from gongshu.base.site import Site
from gongshu.parties import service as parties
from gongshu.server import store
from gongshu.server.problems import BODY_TOO_LARGE, CSRF_MISSING, problem_response

SESSION_COOKIE = "gongshu_session"
ANONYMOUS = Actor(PersonId("anonymous"), PartyId("public"), frozenset({Role.PUBLIC}))
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
BODY_BYTES_MAX = 2_000_000
KEY_CHARS_MAX = 200
STALE_AFTER_MINUTES = 5
KEPT_HOURS = 24
SERVER_FAULT = 500

KEY_REUSED = rule(
    "idempotency-key-reused", Kind.CONFLICT, zh="该幂等键已用于另一请求。",
    en="This Idempotency-Key was used for another request.",
    fix_zh="新的请求请换一个键。", fix_en="Use a fresh key for a new request.",
)  # fmt: skip
STILL_RUNNING = rule(
    "request-still-running", Kind.CONFLICT, zh="同一幂等键的请求仍在处理。",
    en="A request with this Idempotency-Key is still running.",
    fix_zh="请稍后用同一键重试。", fix_en="Try again with the same key in a moment.",
)  # fmt: skip
SECRET_SHOWN_ONCE = rule(
    "secret-shown-once", Kind.CONFLICT, zh="该请求已完成，其密钥只显示一次。",
    en="This request was done; its secret was shown once and is not kept.",
    fix_zh="如未收到密钥，请吊销后重新创建。", fix_en="If you did not receive it, revoke it and create another.",
)  # fmt: skip


def _state(scope: Scope) -> dict[str, Any]:
    state: dict[str, Any] = scope.setdefault("state", {})
    return state


async def _refuse(scope: Scope, receive: Receive, send: Send, reason: Reason) -> None:
    response = problem_response(Request(scope), (reason,))
    await response(scope, receive, send)


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or ``None`` when it passes ``BODY_BYTES_MAX``."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            return None
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that hands out ``body`` once and then the connection's own messages."""
    sent = False

    async def replayed() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


class Identify:
    """Puts the complete ``Actor`` and the session's form token into ``request.state``."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        """Wrap ``app``."""
        self.app, self.site = app, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Resolve a bearer token or the session cookie; anybody else is the public."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            actor, csrf, by_cookie = await run_in_threadpool(self._resolve, headers)
            _state(scope).update(actor=actor, csrf=csrf, by_cookie=by_cookie)
        await self.app(scope, receive, send)

    def _resolve(self, headers: Headers) -> tuple[Actor, str, bool]:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return parties.resolve_token(self.site, token.strip()) or ANONYMOUS, "", False
        morsel = SimpleCookie(headers.get("cookie", "")).get(SESSION_COOKIE)
        found = parties.resolve_session(self.site, morsel.value) if morsel else None
        return (found[0], found[1], True) if found else (ANONYMOUS, "", False)


class RefuseForgery:
    """A change made by a session cookie must carry the session's token: in ``X-CSRF-Token``, or as a form field."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap ``app``."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let safe methods and token-bearing callers pass; check everybody else."""
        state = scope.get("state", {})
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or not state.get("by_cookie"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-csrf-token", "")
        if not given and headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            body = await _read_body(receive)
            if body is None:
                await _refuse(scope, receive, send, BODY_TOO_LARGE.because(bytes_max=BODY_BYTES_MAX))
                return
            receive = _replay(body, receive)
            given = parse_qs(body.decode("utf-8", "replace")).get("csrf_token", [""])[0]
        if not hmac.compare_digest(given.encode(), state["csrf"].encode()):
            await _refuse(scope, receive, send, CSRF_MISSING.because())
            return
        await self.app(scope, receive, send)


class Repeatable:
    """A ``POST`` under ``/api/`` with an ``Idempotency-Key`` is done once; repeating it gives the same answer.

    Kept ``KEPT_HOURS``. Answers that show a secret (``Cache-Control: no-store``) are not kept, nor are failures
    of the platform, which may be tried again.
    """

    def __init__(self, app: ASGIApp, site: Site) -> None:
        """Wrap ``app``."""
        self.app, self.site = app, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a known key from memory, or run the request and keep its answer."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        key = headers.get("idempotency-key", "")[:KEY_CHARS_MAX]
        if not key or scope["method"] != "POST" or not scope["path"].startswith("/api/"):
            await self.app(scope, receive, send)
            return
        body = await _read_body(receive)
        if body is None:
            await _refuse(scope, receive, send, BODY_TOO_LARGE.because(bytes_max=BODY_BYTES_MAX))
            return
        actor: Actor = scope["state"]["actor"]
        row_id = sha256_hex(f"{actor.person}\n{scope['path']}\n{key}".encode())
        digest = sha256_hex(scope["query_string"] + b"\n" + body)
        earlier = await run_in_threadpool(self._claim, row_id, digest)
        if earlier is None:
            await self._run(row_id, scope, _replay(body, receive), send)
        elif isinstance(earlier, Reason):
            await _refuse(scope, receive, send, earlier)
        else:
            await _send_kept(send, earlier)

    def _claim(self, row_id: str, digest: str) -> Reason | store.KeptAnswer | None:
        now = self.site.now()
        with self.site.db.transaction() as tx:
            store.forget_before(tx, now - timedelta(hours=KEPT_HOURS))
            earlier = store.find_answer(tx, row_id)
            if earlier is not None and not _died_running(earlier, now):
                return _refusal_of(earlier, digest) or earlier
            store.claim(tx, row_id, digest, now)
        return None

    async def _run(self, row_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        kept: dict[str, Any] = {"status": 0, "type": "", "body": b"", "secret": False}

        async def keeping(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = Headers(raw=message["headers"])
                kept.update(status=message["status"], type=headers.get("content-type", ""))
                kept["secret"] = "no-store" in headers.get("cache-control", "")
            elif message["type"] == "http.response.body":
                kept["body"] += message.get("body", b"")
                if not message.get("more_body", False):
                    await run_in_threadpool(self._keep, row_id, kept)
            await send(message)

        try:
            await self.app(scope, receive, keeping)
        except BaseException:
            await run_in_threadpool(self._keep, row_id, {"status": 500})
            raise

    def _keep(self, row_id: str, kept: dict[str, Any]) -> None:
        with self.site.db.transaction() as tx:
            if kept["status"] >= SERVER_FAULT:  # our failure: the caller may try again
                store.forget(tx, row_id)
            elif kept["secret"]:
                store.keep(tx, row_id, store.DONE_NOT_KEPT, "", b"")
            else:
                store.keep(tx, row_id, kept["status"], kept["type"], kept["body"])


def _died_running(earlier: store.KeptAnswer, now: datetime) -> bool:
    """Whether a request that claims to run must have ended with its process."""
    return earlier.status == store.RUNNING and earlier.created_at < now - timedelta(minutes=STALE_AFTER_MINUTES)


def _refusal_of(earlier: store.KeptAnswer, digest: str) -> Reason | None:
    """Return why an earlier request cannot be answered from memory, if so."""
    if earlier.request_digest != digest:
        return KEY_REUSED.because()
    if earlier.status == store.RUNNING:
        return STILL_RUNNING.because()
    return SECRET_SHOWN_ONCE.because() if earlier.status == store.DONE_NOT_KEPT else None


async def _send_kept(send: Send, answer: store.KeptAnswer) -> None:
    headers = [(b"content-type", answer.content_type.encode()), (b"idempotent-replayed", b"true")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
