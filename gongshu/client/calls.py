"""The two clients: the same calls, one after the other or for asyncio."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from gongshu.base import signing
from gongshu.client.conversation import (
    BATCH_ITEMS_MAX,
    TIMEOUT_SECONDS,
    Account,
    Answer,
    BulkState,
    Item,
    Sending,
    agreed_of,
    answer_of,
    batch_of,
    conversation,
    items_of,
    lines_of,
    named,
    new_request_id,
    state_of,
)
from gongshu.client.downloads import Downloaded, download


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
        return items_of(self._call("batch", request_id or new_request_id(), agreed_of(rows)))

    def call(self, action: str, fields: Mapping[str, str], *, request_id: str = "", consent: str = "") -> Answer:
        """Make one call of any kind whose answer is JSON; ``action`` is the last part of its path."""
        body = msgspec.json.encode(dict(fields))
        return answer_of(self._call(action, request_id or new_request_id(), body, consent))

    def verify_batch(self, rows: Sequence[tuple[str, Mapping[str, str]]], *, request_id: str = "") -> list[Item]:
        """Verify up to ``BATCH_ITEMS_MAX`` records, each with an id of its own; answers in their order."""
        return items_of(self._call("batch", request_id or new_request_id(), batch_of(rows)))

    def verify_all(self, rows: Iterable[Mapping[str, str]]) -> Iterator[Item]:
        """Verify any number of records in batches, one after the other."""
        left = named(rows)
        while part := list(islice(left, BATCH_ITEMS_MAX)):
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

    def submit_bulk(self, rows: Sequence[tuple[str, Mapping[str, str]]], *, request_id: str = "") -> BulkState:
        """Leave up to 100 000 records with the gateway, each with an id of its own. The same ``request_id`` is the same task."""
        return state_of(self._call("bulk", request_id or new_request_id(), batch_of(rows)))

    def bulk_state(self, task: str) -> BulkState:
        """Return how far a bulk task is."""
        return state_of(self._call(f"/v1/bulk/{task}", new_request_id(), b"", method="GET"))

    def bulk_results(self, task: str) -> list[Item]:
        """Return the results of a bulk task so far, in the order of its records. They are kept for 24 hours."""
        return lines_of(self._call(f"/v1/bulk/{task}/results", new_request_id(), b"", method="GET"))

    def drop_bulk(self, task: str) -> BulkState:
        """Drop a bulk task and its results; what was answered stays charged."""
        return state_of(self._call(f"/v1/bulk/{task}", new_request_id(), b"", method="DELETE"))

    def _call(self, kind: str, request_id: str, body: bytes, consent: str = "", *, method: str = "POST") -> Any:
        talk = conversation(self.account, kind, request_id, body, consent=consent, method=method)
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
            return self._http.request(sending.method, sending.path, content=body, headers=sending.headers)
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
        return items_of(await self._call("batch", request_id or new_request_id(), agreed_of(rows)))

    async def call(self, action: str, fields: Mapping[str, str], *, request_id: str = "", consent: str = "") -> Answer:
        """Make one call of any kind whose answer is JSON; ``action`` is the last part of its path."""
        body = msgspec.json.encode(dict(fields))
        return answer_of(await self._call(action, request_id or new_request_id(), body, consent))

    async def verify_batch(self, rows: Sequence[tuple[str, Mapping[str, str]]], *, request_id: str = "") -> list[Item]:
        """Verify up to ``BATCH_ITEMS_MAX`` records, each with an id of its own; answers in their order."""
        return items_of(await self._call("batch", request_id or new_request_id(), batch_of(rows)))

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

    async def submit_bulk(self, rows: Sequence[tuple[str, Mapping[str, str]]], *, request_id: str = "") -> BulkState:
        """Leave up to 100 000 records with the gateway, each with an id of its own. The same ``request_id`` is the same task."""
        return state_of(await self._call("bulk", request_id or new_request_id(), batch_of(rows)))

    async def bulk_state(self, task: str) -> BulkState:
        """Return how far a bulk task is."""
        return state_of(await self._call(f"/v1/bulk/{task}", new_request_id(), b"", method="GET"))

    async def bulk_results(self, task: str) -> list[Item]:
        """Return the results of a bulk task so far, in the order of its records. They are kept for 24 hours."""
        return lines_of(await self._call(f"/v1/bulk/{task}/results", new_request_id(), b"", method="GET"))

    async def drop_bulk(self, task: str) -> BulkState:
        """Drop a bulk task and its results; what was answered stays charged."""
        return state_of(await self._call(f"/v1/bulk/{task}", new_request_id(), b"", method="DELETE"))

    async def _call(self, kind: str, request_id: str, body: bytes, consent: str = "", *, method: str = "POST") -> Any:
        talk = conversation(self.account, kind, request_id, body, consent=consent, method=method)
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
            return await self._http.request(sending.method, sending.path, content=body, headers=sending.headers)
        except httpx.TransportError:
            return None
