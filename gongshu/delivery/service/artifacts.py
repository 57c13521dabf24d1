"""The released files that calls are answered from: digest checked when a call first needs one, then kept open."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from gongshu.base.digest import digest_of
from gongshu.base.site import Keys
from gongshu.delivery.service.kinds import Answer, BuyerAnswer, Opener
from gongshu.delivery.types import SnapshotProduct
from gongshu.products.types import ProductKind

log = logging.getLogger("gongshu.gateway")

RETRY_SECONDS = 10.0
OPEN_FILES_MAX = 2_000


class Source:
    """What is opened once, however many products are served from it; known by ``name``, whose hash is made once."""

    __slots__ = ("name", "product")

    def __init__(self, name: str, product: SnapshotProduct) -> None:
        """``product`` is the first one that asked."""
        self.name, self.product = name, product


def source_of(product: SnapshotProduct) -> Source:
    """Return what a product is answered from: its file, kind and definition."""
    return Source(
        digest_of((product.artifact_path, product.artifact_sha256, product.kind, product.definition)), product
    )


class Artifacts:
    """Opened artifacts by source. One whose file is missing or changed is tried again now and then."""

    def __init__(self, home: Path, keys: Keys, openers: Mapping[ProductKind, Opener]) -> None:
        """Start with nothing loaded."""
        self._home, self._keys, self._openers = home, keys, openers
        self._opened: dict[str, Answer | BuyerAnswer] = {}
        self._loading: dict[str, asyncio.Future[Answer | BuyerAnswer | None]] = {}
        self._failed_at: dict[str, float] = {}

    def close(self) -> None:
        """Let go of every file."""
        self._opened.clear()

    @property
    def opened(self) -> int:
        """How many files are open."""
        return len(self._opened)

    def find(self, source: Source) -> Answer | BuyerAnswer | None:
        """Return what answers from ``source``, or ``None`` while its file is not loaded."""
        return self._opened.get(source.name)

    async def load(self, source: Source) -> Answer | BuyerAnswer | None:
        """Load a file beside the calls, once for all who wait; ``None`` when it cannot be served."""
        name = source.name
        found = self._opened.get(name)
        if found is not None or time.monotonic() - self._failed_at.get(name, float("-inf")) < RETRY_SECONDS:
            return found
        loading = self._loading.get(name)
        if loading is None:
            loading = asyncio.get_running_loop().run_in_executor(None, self._read, source.product)
            self._loading[name] = loading
        answer = await asyncio.shield(loading)
        if self._loading.pop(name, None) is not None:
            self._keep(name, answer)
        return answer

    def _keep(self, name: str, answer: Answer | BuyerAnswer | None) -> None:
        if answer is None:
            if len(self._failed_at) >= OPEN_FILES_MAX:
                self._failed_at.clear()
            self._failed_at[name] = time.monotonic()
            return
        self._failed_at.pop(name, None)
        if len(self._opened) >= OPEN_FILES_MAX:
            self._opened.pop(next(iter(self._opened)))
        self._opened[name] = answer

    def _read(self, product: SnapshotProduct) -> Answer | BuyerAnswer | None:
        """Check the file's digest and open it. Runs beside the calls."""
        path = self._home / product.artifact_path
        try:
            with path.open("rb") as opened:
                sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
            if sha256 != product.artifact_sha256:
                log.error("product %s: its file is not what was released", product.id)
                return None
            opener = self._openers.get(product.kind)
            if opener is None:
                log.error("product %s: no call answers its kind", product.id)
                return None
            return opener(path, product.definition, self._keys)
        except Exception as error:  # noqa: BLE001 - one product that cannot be loaded must not stop the others
            log.error("product %s: its file cannot be loaded: %s", product.id, type(error).__name__)  # noqa: TRY400
            return None
