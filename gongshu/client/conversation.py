"""What is said between client and gateway, without any I/O: requests, answers, and when to ask again."""

import secrets
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from gongshu.base import signing

TIMEOUT_SECONDS = 10.0
ATTEMPTS_MAX = 5
WAIT_SECONDS_MAX = 30.0
BATCH_ITEMS_MAX = 1_000
ANSWERED = frozenset({200, 202})
LINES = "application/x-ndjson"
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
    """Return path and headers of one request; ``now`` in seconds since 1970, ``nonce`` fresh for each sending.

    ``kind`` is the last part of a product's path, or a whole path.
    """
    path = kind if kind.startswith("/") else f"/v1/products/{account.product}/{kind}"
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


def read_answer(status: int, content: bytes, media: str = "") -> Any:
    """Return the body of an answer (bytes where it is lines of JSON), or raise ``Refused``."""
    if status in ANSWERED and media == LINES:
        return content
    try:
        body = msgspec.json.decode(content)
    except msgspec.DecodeError:
        body = {}
    if status not in ANSWERED:
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
    method: str = "POST"


def conversation(
    account: Account, kind: str, request_id: str, body: bytes, *, consent: str = "", method: str = "POST"
) -> Generator[Sending | float, httpx.Response | None, Any]:  # fmt: skip
    """Say what to do until a call is answered: send this (and tell the response, or ``None``), or wait so many seconds.

    Returns the body of the answer; raises ``Refused`` or ``Unanswered``. The request id stays the same, a signature does not.
    """
    for attempt in range(ATTEMPTS_MAX):
        is_last = attempt == ATTEMPTS_MAX - 1
        now, nonce = time.time(), secrets.token_hex(16)  # noqa: TID251 - the caller's own clock
        request = request_of(account, kind, request_id, body, now=now, nonce=nonce, consent=consent, method=method)
        response = yield Sending(*request, method)
        if response is not None and (is_last or not is_worth_retrying(response.status_code, response.content)):
            return read_answer(response.status_code, response.content, response.headers.get("content-type", ""))
        if not is_last:
            yield wait_seconds(attempt, response.headers.get("retry-after", "") if response is not None else "")
    raise Unanswered(request_id)


@dataclass(frozen=True)
class BulkState:
    """How far a bulk task is: ``working``, ``done``, or ``stopped`` and by which code."""

    task: str
    status: str
    items: int
    done: int
    answered: int
    stop_code: str


def state_of(body: Mapping[str, Any]) -> BulkState:
    """Read what the gateway tells of a bulk task."""
    return BulkState(*(body[name] for name in ("task", "status", "items", "done", "answered", "stop_code")))


def lines_of(content: bytes) -> list[Item]:
    """Read the results of a bulk task."""
    return items_of({"items": [msgspec.json.decode(line) for line in content.splitlines()]})


def answer_of(body: Mapping[str, Any]) -> Answer:
    """Read an answer."""
    return Answer(body["result"], body["receipt"]["request_id"], body["receipt"], body.get("content"))


def items_of(body: Mapping[str, Any]) -> list[Item]:
    """Read the answers to a batch."""
    return [Item(i["id"], i["result"], i["error"], i["call"], i["is_charged"], i.get("content")) for i in body["items"]]


def batch_of(rows: Sequence[tuple[str, Mapping[str, str]]]) -> bytes:
    """Write the body of a batch or a bulk task."""
    return msgspec.json.encode({"items": [{"id": name, "fields": dict(fields)} for name, fields in rows]})


def agreed_of(rows: Sequence[tuple[str, Mapping[str, str], str]]) -> bytes:
    """Write the body of a batch whose items carry consents."""
    items = [{"id": name, "fields": dict(fields), "consent": consent} for name, fields, consent in rows]
    return msgspec.json.encode({"items": items})


def named(rows: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Give each row an id that was never used."""
    run = new_request_id()
    return ((f"{run}-{number}", fields) for number, fields in enumerate(rows))
