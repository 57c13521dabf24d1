"""The Python client of a consumer: calls one by one or in batches, signed or not, repeated safely.

    from gongshu.client import Client

    with Client("https://gateway.example", product="product-…", purpose="inclusive-finance", key="gsk_…") as client:
        answer = client.verify({"credit_code": "…", "name": "…"})
        print(answer.result, answer.receipt["call"])

Products that answer with the subject's consent only take its token: ``client.lookup({…}, consent="gsc1.…").content``.

A call that was not answered, or was turned away for a while (429, 503), is sent again with the same request id: the gateway
answers it once and charges it once. ``AsyncClient`` is the same for asyncio.
"""

import asyncio
import secrets
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
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
    account: Account, kind: str, request_id: str, body: bytes, *, now: float, nonce: str, consent: str = ""
) -> tuple[str, dict[str, str]]:  # fmt: skip
    """Return path and headers of one request; ``now`` in seconds since 1970, ``nonce`` fresh for each sending."""
    path = f"/v1/products/{account.product}/{kind}"
    headers = {"content-type": "application/json", "x-request-id": request_id, "x-purpose": account.purpose}
    headers |= {"x-consent": consent} if consent else {}
    if not account.key_id:
        return path, headers | {"authorization": f"Bearer {account.key}"}
    timestamp = str(int(now))
    text = signing.text_to_sign(account.algorithm, "POST", path, timestamp, nonce, request_id, account.purpose, body)
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
