"""Where bulk tasks lie while they are under way: their items and results, enciphered, and what is known of each task.

``bulk/<gateway>/<task>/`` holds ``task.json``, ``items-<n>`` and ``results-<n>``. Items and results are enciphered by AES-256-GCM
with a key of the site, bound to task, kind and number, so that none can be put in another's place; without the key the
files tell their lengths and nothing else. The items of a part are dropped as soon as its results are kept.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gongshu.delivery.adapters import write_atomically
from gongshu.delivery.types import BulkTask

NONCE_BYTES = 12


class PartDamaged(Exception):  # noqa: N818 - somebody else's mistake, or an attack
    """A part of a task is not what was put there."""


class Shelves:
    """The folder of one gateway's bulk tasks. Used from one thread at a time."""

    def __init__(self, folder: Path, secret: bytes) -> None:
        """``secret``: 32 bytes."""
        self._folder, self._cipher = folder, AESGCM(secret)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def tasks(self) -> list[BulkTask]:
        """Return the tasks that are there, the oldest first; what was never wholly put there is dropped."""
        found = []
        for place in self._folder.iterdir():
            try:
                found.append(msgspec.json.decode((place / "task.json").read_bytes(), type=BulkTask))
            except (FileNotFoundError, msgspec.DecodeError):
                shutil.rmtree(place, ignore_errors=True)
        return sorted(found, key=lambda task: (task.at, task.id))

    def put(self, task: BulkTask, parts: list[bytes]) -> None:
        """Keep a new task: it is there once its ``task.json`` is."""
        (self._folder / task.id).mkdir(exist_ok=True, mode=0o700)
        for number, part in enumerate(parts):
            self._write(task.id, "items", number, part)
        self.save(task)

    def save(self, task: BulkTask) -> None:
        """Keep how far a task is."""
        write_atomically(self._folder / task.id / "task.json", msgspec.json.encode(task))

    def items(self, task: BulkTask, number: int) -> bytes:
        """Return a part of the items; raise ``PartDamaged`` when it is not what was put there."""
        return self._read(task.id, "items", number)

    def keep(self, task: BulkTask, number: int, results: bytes) -> None:
        """Keep the results of a part, and how far the task is with them; its items are needed no more."""
        self._write(task.id, "results", number, results)
        self.save(task)
        self._path(task.id, "items", number).unlink(missing_ok=True)

    def results(self, task: BulkTask) -> Iterator[bytes]:
        """Yield the results of the parts that are done, in the order of the items."""
        number = 0
        while self._path(task.id, "results", number).exists():
            yield self._read(task.id, "results", number)
            number += 1

    def empty(self, task: BulkTask) -> None:
        """Drop the items that a task which has ended did not come to."""
        for path in (self._folder / task.id).glob("items-*"):
            path.unlink(missing_ok=True)

    def drop(self, task: BulkTask) -> None:
        """Let nothing of a task be left."""
        shutil.rmtree(self._folder / task.id, ignore_errors=True)

    def size(self) -> int:
        """How many bytes all tasks take."""
        return sum(path.stat().st_size for path in self._folder.glob("*/*"))

    def _path(self, task: str, kind: str, number: int) -> Path:
        return self._folder / task / f"{kind}-{number:05d}"

    def _write(self, task: str, kind: str, number: int, data: bytes) -> None:
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, data, f"{task} {kind} {number}".encode())
        path = self._path(task, kind, number)
        draft = path.with_name(f".{path.name}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    def _read(self, task: str, kind: str, number: int) -> bytes:
        data = self._path(task, kind, number).read_bytes()
        try:
            return self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], f"{task} {kind} {number}".encode())
        except (InvalidTag, ValueError):
            raise PartDamaged(f"{kind}-{number:05d}") from None
