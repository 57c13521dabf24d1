"""The Python client of a consumer: calls one by one or in batches, signed or not, repeated safely.

    from gongshu.client import Client

    with Client("https://gateway.example", product="product-…", purpose="inclusive-finance", key="gsk_…") as client:
        answer = client.verify({"credit_code": "…", "name": "…"})
        print(answer.result, answer.receipt["call"])

Products that answer with the subject's consent only take its token: ``client.lookup({…}, consent="gsc1.…").content``.

Data packages and reports are files: ``client.download("table.csv")``. Called again after a failure it goes on where it
stopped; all parts of a download are one call.

A call that was not answered, or was turned away for a while (429, 503), is sent again with the same request id: the gateway
answers it once and charges it once. ``AsyncClient`` is the same for asyncio.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from gongshu.base import signing

TIMEOUT_SECONDS = 10.0
ATTEMPTS_MAX = 5
WAIT_SECONDS_MAX = 30.0
BATCH_ITEMS_MAX = 1_000
RETRIED = frozenset({429, 502, 503, 504})
NEVER_RETRIED = frozenset({"calls-used-up", "calls-used-up-today"})


@dataclass(frozen=True)
class Answer:
    """What a call said: ``match``, ``mismatch``, ``no_record`` or ``served``, its content if it has one, and its receipt."""

    result: str
    request_id: str
    receipt: Mapping[str, Any]
    content: Any = None

    @property
    def is_charged(self) -> bool:
        """Whether the call is charged."""
        return bool(self.receipt["is_charged"])


@dataclass(frozen=True)
class Item:
    """The answer to one item of a batch: a result, or the code of why it was refused."""

    request_id: str
    result: str
    error: str
    call: str
    is_charged: bool
    content: Any = None


class Refused(Exception):  # noqa: N818 - the gateway's word for it
    """The gateway refused a call. ``code`` is stable; ``fix`` says what would make it right."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        """Keep what was told."""
        self.status, self.problem = status, problem
        self.code = str(problem.get("code", f"http-{status}"))
        reasons = problem.get("reasons") or [{}]
        self.fix = str((reasons[0].get("fix") or {}).get("en", ""))
        super().__init__(f"{self.code}: {problem.get('title', '')} {self.fix}".strip())


class Unanswered(Exception):  # noqa: N818 - it may have been served: ask again with the same request id
    """No answer came in time. The call may be on record: repeat it with ``request_id``."""

    def __init__(self, request_id: str) -> None:
        """Keep the request id."""
        self.request_id = request_id
        super().__init__(f"no answer to the call {request_id}; repeat it with the same request id")


@dataclass(frozen=True)
class Account:
    """Where to call, for which product and purpose, and with which key.

    ``key`` is a plain key's secret; with ``key_id``, the secret of a signing key.
    """

    url: str
    product: str
    purpose: str
    key: str
    key_id: str = ""
    algorithm: str = signing.DEFAULT_ALGORITHM


def new_request_id() -> str:
    """Return a request id that was never used."""
    return secrets.token_hex(16)


def request_of(
    account: Account, kind: str, request_id: str, body: bytes, *, now: float, nonce: str, consent: str = "",
    method: str = "POST",
) -> tuple[str, dict[str, str]]:  # fmt: skip
    """Return path and headers of one request; ``now`` in seconds since 1970, ``nonce`` fresh for each sending."""
    path = f"/v1/products/{account.product}/{kind}"
    headers = {"content-type": "application/json", "x-request-id": request_id, "x-purpose": account.purpose}
    headers |= {"x-consent": consent} if consent else {}
    if not account.key_id:
        return path, headers | {"authorization": f"Bearer {account.key}"}
    timestamp = str(int(now))
    text = signing.text_to_sign(account.algorithm, method, path, timestamp, nonce, request_id, account.purpose, body)
    signature = signing.signature_of(account.algorithm, account.key.encode(), text)
    authorization = signing.header_of(account.algorithm, account.key_id, signature)
    return path, headers | {"authorization": authorization, "x-timestamp": timestamp, "x-nonce": nonce}


def wait_seconds(attempt: int, retry_after: str) -> float:
    """Return how long to wait before sending again: what the gateway says, else twice as long each time."""
    told = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.25 * 2**attempt
    return min(WAIT_SECONDS_MAX, told)


def read_answer(status: int, content: bytes) -> Any:
    """Return the body of an answer, or raise ``Refused``."""
    try:
        body = msgspec.json.decode(content)
    except msgspec.DecodeError:
        body = {}
    if status != 200:
        raise Refused(status, body if isinstance(body, dict) else {})
    return body


def is_worth_retrying(status: int, content: bytes) -> bool:
    """Whether the same call may be answered later."""
    if status not in RETRIED:
        return False
    try:
        problem = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return True
    return not (isinstance(problem, dict) and problem.get("code") in NEVER_RETRIED)


@dataclass(frozen=True)
class Sending:
    """One sending of a call."""

    path: str
    headers: dict[str, str]


def conversation(
    account: Account, kind: str, request_id: str, body: bytes, consent: str = ""
) -> Generator[Sending | float, httpx.Response | None, Any]:  # fmt: skip
    """Say what to do until a call is answered: send this (and tell the response, or ``None``), or wait so many seconds.

    Returns the body of the answer; raises ``Refused`` or ``Unanswered``. The request id stays the same, a signature does not.
    """
    for attempt in range(ATTEMPTS_MAX):
        is_last = attempt == ATTEMPTS_MAX - 1
        now, nonce = time.time(), secrets.token_hex(16)  # noqa: TID251 - the caller's own clock
        response = yield Sending(*request_of(account, kind, request_id, body, now=now, nonce=nonce, consent=consent))
        if response is not None and (is_last or not is_worth_retrying(response.status_code, response.content)):
            return read_answer(response.status_code, response.content)
        if not is_last:
            yield wait_seconds(attempt, response.headers.get("retry-after", "") if response is not None else "")
    raise Unanswered(request_id)


def _answer(body: Mapping[str, Any]) -> Answer:
    return Answer(body["result"], body["receipt"]["request_id"], body["receipt"], body.get("content"))


def _items(body: Mapping[str, Any]) -> list[Item]:
    return [Item(i["id"], i["result"], i["error"], i["call"], i["is_charged"], i.get("content")) for i in body["items"]]


def _batch(rows: Sequence[tuple[str, Mapping[str, str]]]) -> bytes:
    return msgspec.json.encode({"items": [{"id": name, "fields": dict(fields)} for name, fields in rows]})


def _agreed(rows: Sequence[tuple[str, Mapping[str, str], str]]) -> bytes:
    items = [{"id": name, "fields": dict(fields), "consent": consent} for name, fields, consent in rows]
    return msgspec.json.encode({"items": items})


def _named(rows: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, Mapping[str, str]]]:
    run = new_request_id()
    return ((f"{run}-{number}", fields) for number, fields in enumerate(rows))


@dataclass(frozen=True)
class Downloaded:
    """A file that arrived whole: its SHA-256 is what the receipt says."""

    path: Path
    sha256: str
    receipt: Mapping[str, Any]


class _Begun(msgspec.Struct):
    """What stands beside a file that has not arrived whole: with it a later attempt goes on, and is not charged again."""

    request_id: str
    asked: str
    etag: str = ""
    receipt: dict[str, Any] = {}


def download(http: httpx.Client, account: Account, target: Path, action: str, kind: str) -> Downloaded:
    """Fetch a file to ``target``, going on from where an earlier attempt broke off (``<target>.part``)."""
    part, note = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    asked = f"{account.product}/{action}?format={kind}"
    begun = _begun(note, asked)
    note.write_bytes(msgspec.json.encode(begun))
    for attempt in range(ATTEMPTS_MAX):
        try:
            waited = _fetch(http, account, begun, part, f"{action}?format={kind}")
        except httpx.TransportError:
            waited = ""
        note.write_bytes(msgspec.json.encode(begun))
        if waited is None:
            sha256 = _sha256_of(part)
            if begun.etag == f'"{sha256}"':
                part.replace(target)
                note.unlink()
                return Downloaded(target, sha256, begun.receipt)
            part.unlink()  # not what was sent: from the beginning, under the same request id
            waited = ""
        if attempt < ATTEMPTS_MAX - 1:
            time.sleep(wait_seconds(attempt, waited))
    raise Unanswered(begun.request_id)


def _begun(note: Path, asked: str) -> _Begun:
    try:
        found = msgspec.json.decode(note.read_bytes(), type=_Begun)
    except (FileNotFoundError, msgspec.DecodeError):
        return _Begun(new_request_id(), asked)
    return found if found.asked == asked else _Begun(new_request_id(), asked)


def _fetch(http: httpx.Client, account: Account, begun: _Begun, part: Path, asked: str) -> str | None:
    """Append what is left; return ``None`` when all of it is there, or how long the gateway says to wait."""
    now, nonce = time.time(), secrets.token_hex(16)  # noqa: TID251 - the caller's own clock
    path, headers = request_of(account, asked, begun.request_id, b"", now=now, nonce=nonce, method="GET")
    at = part.stat().st_size if part.exists() else 0
    if at and begun.etag:
        headers |= {"range": f"bytes={at}-", "if-range": begun.etag}
    with http.stream("GET", path, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return None  # nothing is left
        if response.status_code not in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
            content = response.read()
            if is_worth_retrying(response.status_code, content):
                return str(response.headers.get("retry-after", ""))
            read_answer(response.status_code, content)
        begun.etag = response.headers["etag"]
        begun.receipt = msgspec.json.decode(response.headers["x-receipt"])
        is_rest = response.status_code == httpx.codes.PARTIAL_CONTENT
        with part.open("ab" if is_rest else "wb") as file:
            for chunk in response.iter_raw():  # as it comes: what arrived before a cut is kept
                file.write(chunk)
    return None


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Client:
    """Calls one product under one contract. Safe to use from several threads."""

    def __init__(
        self, url: str, *, product: str, purpose: str, key: str, key_id: str = "",
        algorithm: str = signing.DEFAULT_ALGORITHM, timeout: float = TIMEOUT_SECONDS, transport: Any = None,
    ) -> None:  # fmt: skip
        """Keep the account; the connection is opened by the first call. ``timeout`` is in seconds, for one sending."""
        self.account = Account(url, product, purpose, key, key_id, algorithm)
        self._http = httpx.Client(base_url=url, timeout=timeout, transport=transport)

    def __enter__(self) -> Self:
        """Use it in a ``with``."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def verify(self, fields: Mapping[str, str], *, request_id: str = "", consent: str = "") -> Answer:
        """Verify one record. Raises ``Refused``, or ``Unanswered`` when no answer came after all attempts.

        ``consent`` is the token of the subject's consent, where the product needs one.
        """
        return self.call("verify", fields, request_id=request_id, consent=consent)

    def lookup(self, fields: Mapping[str, str], *, consent: str, request_id: str = "") -> Answer:
        """Look up the tags of one subject, who consented: they are the answer's ``content``."""
        return self.call("lookup", fields, request_id=request_id, consent=consent)

    def lookup_batch(self, rows: Sequence[tuple[str, Mapping[str, str], str]], *, request_id: str = "") -> list[Item]:
        """Look up at most ``BATCH_ITEMS_MAX`` subjects: id, fields and consent token of each; answers in their order."""
        return _items(self._call("batch", request_id or new_request_id(), _agreed(rows)))

    def call(self, action: str, fields: Mapping[str, str], *, request_id: str = "", consent: str = "") -> Answer:
        """Make one call of any kind whose answer is JSON; ``action`` is the last part of its path."""
        body = msgspec.json.encode(dict(fields))
        return _answer(self._call(action, request_id or new_request_id(), body, consent))

    def verify_batch(self, rows: Sequence[tuple[str, Mapping[str, str]]], *, request_id: str = "") -> list[Item]:
        """Verify up to ``BATCH_ITEMS_MAX`` records, each with an id of its own; answers in their order."""
        return _items(self._call("batch", request_id or new_request_id(), _batch(rows)))

    def verify_all(self, rows: Iterable[Mapping[str, str]]) -> Iterator[Item]:
        """Verify any number of records in batches, one after the other."""
        named = _named(rows)
        while part := list(islice(named, BATCH_ITEMS_MAX)):
            yield from self.verify_batch(part)

    def query(self, values: Mapping[str, str], *, request_id: str = "") -> Any:
        """Ask a query product with its parameters; returns ``columns`` and ``rows``."""
        return (self.call("query", values, request_id=request_id)).content

    def series(self, first: str = "", last: str = "", *, dimension: str = "", request_id: str = "") -> Any:
        """Ask an index for its points from one period to another, both included; an empty text is no bound."""
        asked = {"from": first, "to": last, "dimension": dimension}
        fields = {name: value for name, value in asked.items() if value}
        return (self.call("series", fields, request_id=request_id)).content

    def predict(self, values: Mapping[str, str], *, request_id: str = "") -> Any:
        """Ask a model about one row; returns its outputs by name."""
        return (self.call("predict", values, request_id=request_id)).content["outputs"]

    def predict_batch(self, rows: Sequence[tuple[str, Mapping[str, str]]], *, request_id: str = "") -> list[Item]:
        """Ask a model about at most ``BATCH_ITEMS_MAX`` rows; the outputs are each item's ``content``."""
        return self.verify_batch(rows, request_id=request_id)

    def download(self, target: Path | str, kind: str = "csv", *, action: str = "download") -> Downloaded:
        """Fetch a data package (``csv``, ``parquet``, ``xlsx``), or a report with the action ``report`` (``pdf``, ``docx``).

        What arrived stays in ``<target>.part``; calling again goes on from there and is not charged again.
        """
        return download(self._http, self.account, Path(target), action, kind)

    def _call(self, kind: str, request_id: str, body: bytes, consent: str = "") -> Any:
        talk = conversation(self.account, kind, request_id, body, consent)
        step = next(talk)
        while True:
            try:
                if isinstance(step, Sending):
                    step = talk.send(self._send(step, body))
                else:
                    time.sleep(step)
                    step = next(talk)
            except StopIteration as end:
                return end.value

    def _send(self, sending: Sending, body: bytes) -> httpx.Response | None:
        try:
            return self._http.post(sending.path, content=body, headers=sending.headers)
        except httpx.TransportError:
            return None


class AsyncClient:
    """As ``Client``, for asyncio."""

    def __init__(
        self, url: str, *, product: str, purpose: str, key: str, key_id: str = "",
        algorithm: str = signing.DEFAULT_ALGORITHM, timeout: float = TIMEOUT_SECONDS, transport: Any = None,
    ) -> None:  # fmt: skip
        """Keep the account; the connection is opened by the first call. ``timeout`` is in seconds, for one sending."""
        self.account = Account(url, product, purpose, key, key_id, algorithm)
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout, transport=transport)

    async def __aenter__(self) -> Self:
        """Use it in an ``async with``."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def verify(self, fields: Mapping[str, str], *, request_id: str = "", consent: str = "") -> Answer:
        """Verify one record. Raises ``Refused``, or ``Unanswered`` when no answer came after all attempts.

        ``consent`` is the token of the subject's consent, where the product needs one.
        """
        return await self.call("verify", fields, request_id=request_id, consent=consent)

    async def lookup(self, fields: Mapping[str, str], *, consent: str, request_id: str = "") -> Answer:
        """Look up the tags of one subject, who consented: they are the answer's ``content``."""
        return await self.call("lookup", fields, request_id=request_id, consent=consent)

    async def lookup_batch(
        self, rows: Sequence[tuple[str, Mapping[str, str], str]], *, request_id: str = ""
    ) -> list[Item]:
        """Look up at most ``BATCH_ITEMS_MAX`` subjects: id, fields and consent token of each; answers in their order."""
        return _items(await self._call("batch", request_id or new_request_id(), _agreed(rows)))

    async def call(self, action: str, fields: Mapping[str, str], *, request_id: str = "", consent: str = "") -> Answer:
        """Make one call of any kind whose answer is JSON; ``action`` is the last part of its path."""
        body = msgspec.json.encode(dict(fields))
        return _answer(await self._call(action, request_id or new_request_id(), body, consent))

    async def verify_batch(self, rows: Sequence[tuple[str, Mapping[str, str]]], *, request_id: str = "") -> list[Item]:
        """Verify up to ``BATCH_ITEMS_MAX`` records, each with an id of its own; answers in their order."""
        return _items(await self._call("batch", request_id or new_request_id(), _batch(rows)))

    async def query(self, values: Mapping[str, str], *, request_id: str = "") -> Any:
        """Ask a query product with its parameters; returns ``columns`` and ``rows``."""
        return (await self.call("query", values, request_id=request_id)).content

    async def series(self, first: str = "", last: str = "", *, dimension: str = "", request_id: str = "") -> Any:
        """Ask an index for its points from one period to another, both included; an empty text is no bound."""
        asked = {"from": first, "to": last, "dimension": dimension}
        fields = {name: value for name, value in asked.items() if value}
        return (await self.call("series", fields, request_id=request_id)).content

    async def predict(self, values: Mapping[str, str], *, request_id: str = "") -> Any:
        """Ask a model about one row; returns its outputs by name."""
        return (await self.call("predict", values, request_id=request_id)).content["outputs"]

    async def predict_batch(self, rows: Sequence[tuple[str, Mapping[str, str]]], *, request_id: str = "") -> list[Item]:
        """Ask a model about at most ``BATCH_ITEMS_MAX`` rows; the outputs are each item's ``content``."""
        return await self.verify_batch(rows, request_id=request_id)

    async def download(self, target: Path | str, kind: str = "csv", *, action: str = "download") -> Downloaded:
        """As ``Client.download``, in a thread with a connection of its own."""

        def fetch() -> Downloaded:
            with httpx.Client(base_url=self.account.url, timeout=self._http.timeout) as http:
                return download(http, self.account, Path(target), action, kind)

        return await asyncio.to_thread(fetch)

    async def _call(self, kind: str, request_id: str, body: bytes, consent: str = "") -> Any:
        talk = conversation(self.account, kind, request_id, body, consent)
        step = next(talk)
        while True:
            try:
                if isinstance(step, Sending):
                    step = talk.send(await self._send(step, body))
                else:
                    await asyncio.sleep(step)
                    step = next(talk)
            except StopIteration as end:
                return end.value

    async def _send(self, sending: Sending, body: bytes) -> httpx.Response | None:
        try:
            return await self._http.post(sending.path, content=body, headers=sending.headers)
        except httpx.TransportError:
            return None
