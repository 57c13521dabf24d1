"""The policy snapshot on a machine of its own: shards first, then the head that names them, then the released files.

What is fetched is named by its digest in the signed head, and is written only when it has it.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from gongshu.gateways.adapters import files, wire

log = logging.getLogger("gongshu.gateways")

FETCHES_AT_ONCE = 8


class Fetching:
    """Keeps the snapshot of a gateway that does not share the control plane's folder."""

    def __init__(self, home: Path, fetch: Callable[[str], Awaitable[bytes]]) -> None:
        """Fetch nothing until it ``is_needed``."""
        self._home, self._fetch = home, fetch
        self._head_path = home / "gateway" / "snapshot.json"
        self._turn, self._places = asyncio.Lock(), asyncio.Semaphore(FETCHES_AT_ONCE)
        self.sending = asyncio.Lock()
        self.is_needed = False

    @property
    def head_digest(self) -> str:
        """The digest of the head that lies here; empty where the folder is the control plane's own."""
        try:
            return hashlib.sha256(self._head_path.read_bytes()).hexdigest()
        except FileNotFoundError:
            return ""

    async def adopt(self, head: bytes) -> None:
        """Fetch what a head names, put it in place, and then fetch what its products need."""
        if self._turn.locked():  # the next beat brings it again
            return
        async with self._turn:
            try:
                named = json.loads(head)["snapshot"]
                shards = {digest for digest in (*named["contracts"], *named["products"]) if digest}
                await self._all((f"gateway/shards/{digest}", digest) for digest in sorted(shards))
                await asyncio.to_thread(files.replace_file, self._head_path, head)
            except wire.Unreachable as failed:
                log.warning("the policy snapshot could not be fetched: %s", failed)
                return
        await self._released(named["products"])

    async def _released(self, shards: list[str]) -> None:
        """Fetch the files that products are answered from; a product whose file is not here yet is not served."""
        wanted: dict[str, str] = {}
        for digest in filter(None, shards):
            data = (self._home / "gateway" / "shards" / digest).read_bytes()
            for product in msgspec.msgpack.decode(data, type=dict[bytes, dict[str, Any]]).values():
                wanted[product["artifact_path"]] = product["artifact_sha256"]
        try:
            await self._all(iter(wanted.items()))
        except wire.Unreachable as failed:
            log.warning("a released file could not be fetched: %s", failed)

    async def _all(self, wanted: Iterator[tuple[str, str]]) -> None:
        await asyncio.gather(*(self._one(path, digest) for path, digest in wanted))

    async def _one(self, path: str, digest: str) -> None:
        target = self._home / path
        if target.exists():
            return
        async with self._places:
            data = await self._fetch(path)
        if hashlib.sha256(data).hexdigest() != digest:
            raise wire.Unreachable("digest")
        await asyncio.to_thread(files.replace_file, target, data)
