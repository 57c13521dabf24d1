"""Hostile requests to the gateway, made of a valid one: for Hypothesis, for atheris, and for raw sockets.

Every value that is no good request id carries ``MARK``; whatever the gateway says or logs must not hold it.
"""

import asyncio
import json
import logging
import random
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from gongshu.delivery.api.application import GatewayApp
from tests.gateways import DIFFERING, MATCHING, PRODUCT, PURPOSE, SECRET, UNKNOWN

MARK = "qz7341xk"
ANSWER_SECONDS_MAX = 30.0
ALLOWED = frozenset({200, 202, 206, 401, 403, 404, 409, 416, 422, 429})
UNAVAILABLE = frozenset(
    {
        "snapshot-missing", "snapshot-too-old", "snapshot-damaged", "product-unavailable", "disk-full", "disk-failed",
        "gateway-busy", "contract-moving", "copy-being-made",
    }
)  # fmt: skip
"""The reasons for which the reference says that a call may be answered with 503."""

PATHS = (
    *["verify"] * 16, *["batch"] * 8, *["download"] * 4, *["bulk"] * 2, "lookup", "query", "download", "report", "series", "predict",
    f"{MARK}", "verify/", "../verify", "%2e%2e", "",
)  # fmt: skip
ODD_TEXTS = (
    MARK, f"{MARK}\u0000", f"\ud800{MARK}", f"{MARK}" * 60, f"  {MARK} ", f"{MARK}\u202e\u200b", f"Ａ{MARK}１", f"{{{MARK}}}",
    f"%s%n{MARK}", f"{MARK}\r\nx-evil: 1", "\u3000", "",
)  # fmt: skip
ODD_BODIES = (
    b"", b"null", b"[]", b"{", b'{"a":}', b"\xff\xfe" + MARK.encode(), b"[" * 3000, b'{"a":' * 2000, b"1e999", b'"' + MARK.encode() + b'"',
    b'{"credit_code":"\\ud800","name":"\\udfff"}', b"\xef\xbb\xbf{}", b"{}" + b" " * 20_000, MARK.encode() * 4000,
)  # fmt: skip
PRODUCT_PATH = f"/v1/products/{PRODUCT}"


@dataclass
class Hostile:
    """One request as the server would hand it over: ``chunks`` of its body, and whether the caller goes away after them."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    chunks: list[bytes]
    leaves: bool = False
    query: bytes = MARK.encode()

    @property
    def scope(self) -> dict[str, Any]:
        """Return the ASGI scope."""
        raw = self.path.encode("utf-8", "surrogatepass")
        return {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": self.method,
            "scheme": "http", "path": self.path, "raw_path": raw, "query_string": self.query, "root_path": "",
            "headers": self.headers, "client": ("203.0.113.7", 4711), "server": ("127.0.0.1", 80),
        }  # fmt: skip


@dataclass
class Heard:
    """What the gateway sent back."""

    messages: list[MutableMapping[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> int:
        """Return the status; 0 when nothing was sent."""
        return int(self.messages[0]["status"]) if self.messages else 0

    @property
    def body(self) -> bytes:
        """Return the whole body."""
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def everything(self) -> bytes:
        """Return headers and body."""
        start = self.messages[0].get("headers", []) if self.messages else []
        return b"\n".join(name + b": " + value for name, value in start) + b"\n" + self.body


# ------------------------------------------------------------------------------------------------------- how they are made


def odd_value(draw: random.Random) -> bytes:
    """Return bytes of a header."""
    made = draw.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")
    return (
        made
        if draw.random() < 0.8
        else bytes(draw.randrange(256) for _ in range(draw.randrange(1, 40))) + MARK.encode()
    )


def headers_for(draw: random.Random, secret: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of a call, some of them missing, doubled, or odd."""
    good = [
        (b"authorization", f"Bearer {secret}".encode()), (b"x-request-id", f"r{draw.randrange(40)}".encode()),
        (b"x-purpose", PURPOSE.encode()), (b"content-type", b"application/json"),
    ]  # fmt: skip
    made = [header for header in good if draw.random() < 0.95]
    if draw.random() < 0.3:
        name = draw.choice(
            [
                b"authorization", b"x-request-id", b"x-purpose", b"x-timestamp", b"x-nonce", b"x-forwarded-for", b"x-consent",
                b"x-client-certificate", b"traceparent", b"range", b"if-none-match", b"expect", b"content-length",
            ]
        )  # fmt: skip
        value = odd_value(draw)
        if name == b"authorization":
            value = draw.choice([b"Bearer ", b"GONGSHU-HMAC-SHA256 Key=key-9, Signature=", b"Basic ", b""]) + value
        if name == b"x-request-id":
            value = b"!" + value  # never a good one: a good one is told back in the receipt
        made.append((name, value))
    return made


def fields_for(draw: random.Random) -> Any:
    """Return the input of one item."""
    made: Any = dict(draw.choice([MATCHING, DIFFERING, UNKNOWN, {"format": "csv"}]))
    if draw.random() < 0.4:
        key = draw.choice(["credit_code", "name", MARK, "purpose", ""])
        odd: list[Any] = [*ODD_TEXTS, None, 1, [MARK], {MARK: MARK}, True, 1.5]
        made[key] = draw.choice(odd)
    return made


def body_for(draw: random.Random, path: str) -> bytes:
    """Return a body: of the kind that ``path`` wants, of another, or no JSON at all."""
    if draw.random() < 0.1:
        return draw.choice(ODD_BODIES)
    made: Any = fields_for(draw)
    if path.endswith("batch") != (draw.random() < 0.05):
        ids: list[Any] = ["a", "b", "r1", "r2", "", "!" + MARK, 5]
        made = {"items": [{"id": draw.choice(ids), "fields": fields_for(draw)} for _ in range(draw.randrange(4))]}
    text = json.dumps(made, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    if draw.random() < 0.15 and text:
        place = draw.randrange(len(text))
        text = text[:place] + bytes([draw.randrange(256)]) + text[place + draw.randrange(2) :]
    return text


def hostile_call(draw: random.Random, secret: str = SECRET) -> Hostile:
    """Return a request of whoever holds ``secret``."""
    path = f"{PRODUCT_PATH}/{draw.choice(PATHS)}"
    if draw.random() < 0.1:
        path = draw.choice(
            [
                f"/{MARK}",
                "/healthz",
                "/readyz",
                "/metrics",
                f"/v1/products/{MARK}/verify",
                "//",
                "*",
                "\ud800",
                f"/v1/bulk/{MARK}",
                "/v1/bulk/../results",
            ]
        )
    body = body_for(draw, path)
    cuts = sorted(draw.randrange(len(body) + 1) for _ in range(draw.randrange(3)))
    chunks = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    method = "POST" if draw.random() < 0.9 else draw.choice(["GET", "HEAD", "PUT", "OPTIONS", "DELETE", "PATCH", MARK])
    headers, query = headers_for(draw, secret), MARK.encode()
    if path.endswith("download") and draw.random() < 0.6:
        method, query = (
            "GET",
            draw.choice([b"format=csv", b"format=csv", b"format=xlsx", b"", b"%ff=%00", b"format=" + query]),
        )
        if draw.random() < 0.5:
            ranges = [
                b"bytes=0-9",
                b"bytes=5-",
                b"bytes=-3",
                b"bytes=9-1",
                b"bytes=99999999-",
                b"bytes=0-1,4-5",
                MARK.encode(),
            ]
            headers.append((b"range", draw.choice(ranges)))
    return Hostile(method, path, headers, chunks, leaves=draw.random() < 0.05, query=query)


# ------------------------------------------------------------------------------------------------------------ how they are asked


async def ask(app: GatewayApp, request: Hostile) -> Heard:
    """Hand a request to the application and return what it sent."""
    heard, left = Heard(), list(request.chunks)

    async def receive() -> dict[str, Any]:
        if not left:
            return {"type": "http.disconnect"}
        chunk = left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(left) or request.leaves}

    async def send(message: MutableMapping[str, Any]) -> None:
        heard.messages.append(message)

    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        await app(request.scope, receive, send)
    return heard


def check(request: Hostile, heard: Heard, logged: str) -> None:
    """Say whether an answer is one that may be given, and tells nothing of the request."""
    if not heard.messages:
        assert request.leaves, "no answer"
        return
    kinds = [message["type"] for message in heard.messages]
    assert kinds == ["http.response.start", *["http.response.body"] * (len(kinds) - 1)]
    headers = dict(heard.messages[0]["headers"])
    assert int(headers[b"content-length"]) == len(heard.body)
    assert MARK.encode() not in heard.everything, heard.everything
    assert MARK not in logged, logged
    if heard.status == 503:
        assert json.loads(heard.body)["code"] in UNAVAILABLE
        assert int(headers[b"retry-after"]) > 0
    else:
        assert heard.status in ALLOWED, heard.body
    if heard.status >= 400 and heard.status != 416:
        problem = json.loads(heard.body)
        assert problem["status"] == heard.status
        assert problem["reasons"]


class Written(logging.Handler):
    """Keeps what was logged, tracebacks included."""

    def __init__(self) -> None:
        """Listen to everything."""
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(self.format(record))

    def take(self) -> str:
        """Return what was logged since the last time."""
        lines, self.lines = self.lines, []
        return "\n".join(lines)
