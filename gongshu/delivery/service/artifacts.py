"""The released files that calls are answered from: digest checked when a call first needs one, then kept open."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gongshu.base.site import Keys
from gongshu.compute.types import VerificationDefinition
from gongshu.delivery.types import SnapshotProduct
from gongshu.metering.types import ResultCode

log = logging.getLogger("gongshu.gateway")

Lookup = Callable[[dict[str, str]], ResultCode]
"""Answers with match, mismatch or no record for the input fields of one product; the input is not kept."""

OpenLookup = Callable[[Path, VerificationDefinition, Keys], Lookup]
RETRY_SECONDS = 10.0
OPEN_FILES_MAX = 2_000


class _File(NamedTuple):
    """What is opened once, however many products are served from it."""

    path: str
    sha256: str
    definition: VerificationDefinition


class Artifacts:
    """Look-ups by file. One whose file is missing or changed is tried again now and then."""

    def __init__(self, home: Path, keys: Keys, open_lookup: OpenLookup) -> None:
        """Start with nothing loaded."""
        self._home, self._keys, self._open_lookup = home, keys, open_lookup
        self._files: dict[_File, Lookup] = {}
        self._loading: dict[_File, asyncio.Future[Lookup | None]] = {}
        self._failed_at: dict[_File, float] = {}

    def close(self) -> None:
        """Let go of every file."""
        self._files.clear()

    @property
    def opened(self) -> int:
        """How many files are open."""
        return len(self._files)

    def find(self, product: SnapshotProduct) -> Lookup | None:
        """Return the look-up of a product, or ``None`` while its file is not loaded."""
        return self._files.get(_File(product.artifact_path, product.artifact_sha256, product.verification))

    async def load(self, product: SnapshotProduct) -> Lookup | None:
        """Load the file of a product beside the calls, once for all who wait; ``None`` when it cannot be served."""
        file = _File(product.artifact_path, product.artifact_sha256, product.verification)
        found = self._files.get(file)
        if found is not None or time.monotonic() - self._failed_at.get(file, float("-inf")) < RETRY_SECONDS:
            return found
        loading = self._loading.get(file)
        if loading is None:
            loading = asyncio.get_running_loop().run_in_executor(None, self._read, file, product.id)
            self._loading[file] = loading
        lookup = await asyncio.shield(loading)
        if self._loading.pop(file, None) is not None:
            self._keep(file, lookup)
        return lookup

    def _keep(self, file: _File, lookup: Lookup | None) -> None:
        if lookup is None:
            self._failed_at[file] = time.monotonic()
            return
        self._failed_at.pop(file, None)
        if len(self._files) >= OPEN_FILES_MAX:
            self._files.pop(next(iter(self._files)))
        self._files[file] = lookup

    def _read(self, file: _File, product_id: str) -> Lookup | None:
        """Check the file's digest and open it. Runs beside the calls."""
        path = self._home / file.path
        try:
            with path.open("rb") as opened:
                sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
            if sha256 != file.sha256:
                log.error("product %s: its file is not what was released", product_id)
                return None
            return self._open_lookup(path, file.definition, self._keys)
        except Exception as error:  # noqa: BLE001 - one product that cannot be loaded must not stop the others
            log.error("product %s: its file cannot be loaded: %s", product_id, type(error).__name__)  # noqa: TRY400
            return None
