"""Remembers recent request ids, so that a repeated call is answered from its record and not charged twice."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Generic, TypeVar

V = TypeVar("V")

ENTRIES_MAX = 2_000_000
"""Per generation; about 400 MB. When it is full, new calls are refused rather than repeated ones charged."""


def request_key(contract: str, request_id: str) -> bytes:
    """Return the 16 bytes under which a request id of a contract is remembered."""
    return blake2b(f"{contract}\n{request_id}".encode(), digest_size=16).digest()


class RequestWindow(Generic[V]):
    """Two generations: an entry is kept for at least ``seconds`` and at most twice as long.

    Spans are measured by a monotonic clock, so that a jump of the calendar clock forgets nothing.
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        """Start empty. What is remembered is where the record of a request id lies, or the record itself."""
        self._seconds, self._monotonic = seconds, monotonic
        self._current: dict[bytes, V] = {}
        self._previous: dict[bytes, V] = {}
        self._began = monotonic()

    def add(self, key: bytes, place: V) -> None:
        """Remember where the record of ``key`` lies."""
        self._current[key] = place

    def find(self, key: bytes) -> V | None:
        """Return where the record of ``key`` lies, or ``None``."""
        place = self._current.get(key)
        return self._previous.get(key) if place is None else place

    def turn(self) -> None:
        """Forget what is old enough; called about once a second."""
        if self._monotonic() - self._began >= self._seconds:
            self._previous, self._current = self._current, {}
            self._began = self._monotonic()

    @property
    def is_full(self) -> bool:
        """Whether no more may be remembered."""
        return len(self._current) >= ENTRIES_MAX
