"""The edge: nothing gets out by accident, who is calling (resolved once), bodies within limits, forged forms refused,
repeated creations answered from memory.

Six ASGI layers, outermost first: ``Shield``, ``Identify``, ``Bounded``, ``RefuseForgery``, ``Repeatable``, ``Watch``.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, Any
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gongshu.access.types import Actor
from gongshu.audit import service as audit
from gongshu.base.decisions import INTERNAL, Denied, Kind, Reason, rule
from gongshu.base.digest import Ref, sha256_hex
from gongshu.base.site import Site
from gongshu.parties import service as parties
from gongshu.parties.types import ANONYMOUS
from gongshu.server import answers
from gongshu.server.problems import BODY_TOO_LARGE, BODY_UNREADABLE, CSRF_MISSING, NUL_SENT, STATUS_OF, problem_response

log = logging.getLogger("gongshu")

SESSION_COOKIE = "gongshu_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
BODY_BYTES_MAX = 2_000_000
UPLOAD_BYTES_MAX = 4_000_000_000
"""Of a form with files, from somebody who has signed in. It goes to disk as it comes."""
CHUNK_BYTES = 1 << 16
DIGITS_MAX = 18
FORM = "application/x-www-form-urlencoded"
FORM_FIELDS_MAX = 1000
STALE_AFTER_MINUTES = 30
KEPT_HOURS = 24
INCIDENT_BYTES = 6

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
NOT_KEPT = "no-store"

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


class AnswerBroken(Exception):  # noqa: N818 - says what happened
    """An answer broke off after its first bytes. Holds the number of the incident and nothing else."""


class Shield:
    """The outermost layer: security headers on every answer, and a crash becomes an incident number.

    Messages of exceptions may hold data values: the log gets the type and the place, the caller the number. Nothing is
    raised to the server below, which would log it whole.
    """

    def __init__(self, app: ASGIApp, respond: Callable[[Request, tuple[Reason, ...]], Response]) -> None:
        """Wrap ``app``; ``respond`` renders a refusal."""
        self.app, self.respond = app, respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request; nothing but ``AnswerBroken`` comes out of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_started = False

        async def sending(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                _add_headers(MutableHeaders(scope=message), scope)
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:  # noqa: BLE001 - the last place that can keep its message from the log
            incident = note_crash(scope, error)
        else:
            return
        if has_started:  # the connection must break, or half an answer would pass for a whole one
            raise AnswerBroken(incident)
        response = await run_in_threadpool(self._answer, Request(scope), incident)
        response.headers["X-Incident"] = incident
        await response(scope, receive, sending)

    def _answer(self, request: Request, incident: str) -> Response:
        reasons = (INTERNAL.because(incident=incident),)
        try:
            return self.respond(request, reasons)
        except Exception as error:  # noqa: BLE001 - a page about a failure may fail for the same cause
            note_crash(request.scope, error, incident)
            return problem_response(request, reasons)


def _add_headers(headers: MutableHeaders, scope: Scope) -> None:
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if scope["path"].startswith("/api/"):
        headers.setdefault("Cache-Control", NOT_KEPT)  # what one actor may see is nobody else's


def note_crash(scope: Scope, error: Exception, incident: str = "") -> str:
    """Log type and place of an exception, never its message, and return the number of the incident."""
    incident = incident or secrets.token_hex(INCIDENT_BYTES)
    # The pattern of the route, for an address as it was sent could hold a value or forge a line.
    route = getattr(scope.get("route"), "path", "?")
    place = " < ".join(reversed(_places(error.__traceback__)))
    log.error("incident %s: %s on %s %s at %s", incident, type(error).__name__, scope["method"], route, place or "?")
    return incident


def _places(trace: TracebackType | None) -> list[str]:
    """Return module and line of our own frames, without the layers of this file, and of the innermost one."""
    places = []
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "?")
        if (name.startswith("gongshu.") and name != __name__) or trace.tb_next is None:
            places.append(f"{name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return places


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
        secret = cookie_parser("; ".join(headers.getlist("cookie"))).get(SESSION_COOKIE, "")
        found = parties.resolve_session(self.site, secret) if secret else None
        return (found[0], found[1], True) if found else (ANONYMOUS, "", False)


class Bounded:
    """Reads the whole body of a change before anything is done with it, and refuses one that is too large.

    A connection that ends early therefore changes nothing. Small bodies stay in memory, files go to disk.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap ``app``."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the body into ``state["body"]`` and hand it out again to the layers within."""
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            await _refuse(scope, receive, send, NUL_SENT.because())
            return
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        holds_files = _media_type(headers) == "multipart/form-data" and scope["state"]["actor"] is not ANONYMOUS
        bytes_max = UPLOAD_BYTES_MAX if holds_files else BODY_BYTES_MAX
        announced = headers.get("content-length", "0")
        with SpooledTemporaryFile(max_size=BODY_BYTES_MAX) as body:
            is_too_large = announced.isdecimal() and (len(announced) > DIGITS_MAX or int(announced) > bytes_max)
            size = 0
            while not is_too_large:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                chunk = message.get("body", b"")
                size += len(chunk)
                is_too_large = size > bytes_max
                await (run_in_threadpool(body.write, chunk) if size > BODY_BYTES_MAX else _write(body, chunk))
                if not message.get("more_body", False):
                    break
            if is_too_large:
                await _refuse(scope, receive, send, BODY_TOO_LARGE.because(bytes_max=bytes_max))
                return
            if size <= BODY_BYTES_MAX and not holds_files and _holds_nul(body, _media_type(headers)):
                await _refuse(scope, receive, send, NUL_SENT.because())
                return
            _state(scope)["body"] = body
            await self.app(scope, _replay(body, receive), send)


def _holds_nul(body: IO[bytes], media_type: str) -> bool:
    """Whether JSON or a form spells the character NUL, which no name has and PostgreSQL cannot hold."""
    body.seek(0)
    text = body.read()
    return b"\0" in text or (b"%00" if media_type == FORM else b"\\u0000") in text


async def _write(body: IO[bytes], chunk: bytes) -> None:
    body.write(chunk)


def _media_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _replay(body: IO[bytes], receive: Receive) -> Receive:
    """Return a ``receive`` that hands out ``body`` once and then the connection's own messages."""
    place = 0
    has_ended = False

    async def replayed() -> Message:
        nonlocal place, has_ended
        if has_ended:
            return await receive()
        body.seek(place)
        chunk = await run_in_threadpool(body.read, CHUNK_BYTES) if place >= BODY_BYTES_MAX else body.read(CHUNK_BYTES)
        place += len(chunk)
        has_ended = len(chunk) < CHUNK_BYTES
        return {"type": "http.request", "body": chunk, "more_body": not has_ended}

    return replayed


class RefuseForgery:
    """A change made by a session cookie must carry the session's token: in ``X-CSRF-Token``, or as a form field.

    A form with files carries it in the header. What a browser says comes from another site is refused outright, which
    also keeps strangers from signing somebody in as themselves.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap ``app``."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let safe methods and token-bearing callers pass; check everybody else."""
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            refusal = self._refusal(Headers(scope=scope), scope["state"])
            if refusal is not None:
                await _refuse(scope, receive, send, refusal)
                return
        await self.app(scope, receive, send)

    def _refusal(self, headers: Headers, state: dict[str, Any]) -> Reason | None:
        if not state["by_cookie"]:
            is_foreign = headers.get("sec-fetch-site", "") == "cross-site" and "authorization" not in headers
            return CSRF_MISSING.because() if is_foreign else None
        given = headers.get("x-csrf-token", "")
        if not given and _media_type(headers) == FORM:
            try:
                form = parse_qs(_text_of(state["body"]), max_num_fields=FORM_FIELDS_MAX)
            except ValueError:
                return BODY_UNREADABLE.because()
            given = form.get("csrf_token", [""])[0]
        is_right = hmac.compare_digest(given.encode(), state["csrf"].encode())
        return None if is_right else CSRF_MISSING.because()


def _text_of(body: IO[bytes]) -> str:
    body.seek(0)
    return body.read().decode("utf-8", "replace")


class Repeatable:
    """A ``POST`` under ``/api/`` with an ``Idempotency-Key`` is done once; repeating it gives the same answer.

    Kept ``KEPT_HOURS``, for somebody who has signed in. Answers that show a secret (``Cache-Control: no-store``) are not
    kept, nor are failures of the platform and limits, after which the same may be tried again.
    """

    def __init__(self, app: ASGIApp, site: Site) -> None:
        """Wrap ``app``."""
        self.app, self.site = app, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a known key from memory, or run the request and keep its answer."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        key = headers.get("idempotency-key", "")
        if not key or scope["method"] != "POST" or not scope["path"].startswith("/api/"):
            await self.app(scope, receive, send)
            return
        actor: Actor = scope["state"]["actor"]
        if actor is ANONYMOUS:  # strangers would share one memory
            await self.app(scope, receive, send)
            return
        row_id = sha256_hex(f"{actor.person}\n{scope['path']}\n{key}".encode())
        digest = await run_in_threadpool(_request_digest, scope, headers)
        earlier = await run_in_threadpool(self._claim, row_id, digest)
        if earlier is None:
            await self._run(row_id, scope, receive, send)
        elif isinstance(earlier, Reason):
            await _refuse(scope, receive, send, earlier)
        else:
            await _send_kept(send, earlier)

    def _claim(self, row_id: str, digest: str) -> Reason | answers.KeptAnswer | None:
        now = self.site.now()
        with self.site.db.transaction() as tx:
            answers.forget_before(tx, now - timedelta(hours=KEPT_HOURS))
            earlier = answers.find_answer(tx, row_id)
            if earlier is not None and not _died_running(earlier, now):
                return _refusal_of(earlier, digest) or earlier
            answers.claim(tx, row_id, digest, now)
        return None

    async def _run(self, row_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        status, media_type, is_secret = 0, "", False
        chunks: list[bytes] = []

        async def keeping(message: Message) -> None:
            nonlocal status, media_type, is_secret
            if message["type"] == "http.response.start":
                headers = Headers(raw=message["headers"])
                status, media_type = message["status"], headers.get("content-type", "")
                is_secret = NOT_KEPT in headers.get("cache-control", "")
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))
                if not message.get("more_body", False):
                    body = b"" if is_secret else b"".join(chunks)
                    await run_in_threadpool(self._keep, row_id, status, media_type, body, is_secret=is_secret)
            await send(message)

        try:
            await self.app(scope, receive, keeping)
        except BaseException:
            await run_in_threadpool(self._forget, row_id)
            raise

    def _keep(self, row_id: str, status: int, media_type: str, body: bytes, *, is_secret: bool) -> None:
        with self.site.db.transaction() as tx:
            if status in _TRY_AGAIN:
                answers.forget(tx, row_id)
            elif is_secret:
                answers.keep(tx, row_id, answers.DONE_NOT_KEPT, "", b"")
            else:
                answers.keep(tx, row_id, status, media_type, body)

    def _forget(self, row_id: str) -> None:
        with self.site.db.transaction() as tx:
            answers.forget(tx, row_id)


_TRY_AGAIN = {STATUS_OF[kind] for kind in (Kind.LIMIT_EXCEEDED, Kind.UNAVAILABLE, Kind.INTERNAL)}


def _request_digest(scope: Scope, headers: Headers) -> str:
    """Return what tells one request from another: query and body, without the boundary that is drawn anew each time."""
    body: IO[bytes] = scope["state"]["body"]
    boundary = b"--" + headers.get("content-type", "").partition("boundary=")[2].strip('"').encode("latin-1")
    is_parts = _media_type(headers) == "multipart/form-data" and len(boundary) > len(b"--")
    digest = hashlib.sha256(scope["query_string"] + b"\n")
    body.seek(0)
    while line := body.readline(CHUNK_BYTES):
        digest.update(line.replace(boundary, b"--") if is_parts else line)
    return digest.hexdigest()


class Watch:
    """Knows which entries a change has left in the audit log, so that a refusal without one gets one.

    Services audit what they decide. A change that is refused before there is anything to decide about, such as one of
    an object that does not exist, is audited here.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap ``app``."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the ids of the entries into ``request.state`` as they are committed."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
            return
        with audit.watching() as entries:
            _state(scope)["entries"] = entries
            await self.app(scope, receive, send)


def record_refusal(request: Request, site: Site, reasons: tuple[Reason, ...]) -> None:
    """Audit a refused change that has left no entry."""
    entries = getattr(request.state, "entries", None)
    if entries is None or entries:
        return
    route = f"{request.method} {getattr(request.scope.get('route'), 'path', '?')}"
    with site.db.transaction() as tx:
        audit.record(
            tx, site, actor=request.state.actor, action="request.refuse", subject=Ref("route", route, ""),
            decision=Denied(reasons),
        )  # fmt: skip


def _died_running(earlier: answers.KeptAnswer, now: datetime) -> bool:
    """Whether a request that claims to run must have ended with its process."""
    return earlier.status == answers.RUNNING and earlier.created_at < now - timedelta(minutes=STALE_AFTER_MINUTES)


def _refusal_of(earlier: answers.KeptAnswer, digest: str) -> Reason | None:
    """Return why an earlier request cannot be answered from memory, if so."""
    if earlier.request_digest != digest:
        return KEY_REUSED.because()
    if earlier.status == answers.RUNNING:
        return STILL_RUNNING.because()
    return SECRET_SHOWN_ONCE.because() if earlier.status == answers.DONE_NOT_KEPT else None


async def _send_kept(send: Send, answer: answers.KeptAnswer) -> None:
    headers = [(b"idempotent-replayed", b"true"), (b"content-length", str(len(answer.body)).encode())]
    headers += [(b"content-type", answer.content_type.encode())] if answer.content_type else []
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
