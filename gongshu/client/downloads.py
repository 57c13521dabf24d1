"""Fetching a file through cuts: what arrived is kept, and all parts are one call."""

import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from gongshu.client.conversation import (
    ATTEMPTS_MAX,
    Account,
    Unanswered,
    is_worth_retrying,
    new_request_id,
    read_answer,
    request_of,
    wait_seconds,
)


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
