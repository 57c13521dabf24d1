"""The released files that calls are answered from: digest checked when loaded, then kept open."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gongshu.base.ids import ProductId
from gongshu.base.site import Keys
from gongshu.compute.types import VerificationDefinition
from gongshu.delivery.types import SnapshotProduct
from gongshu.metering.types import ResultCode

log = logging.getLogger("gongshu.gateway")

Lookup = Callable[[dict[str, str]], ResultCode]
"""Answers with match, mismatch or no record for the input fields of one product; the input is not kept."""

OpenLookup = Callable[[Path, VerificationDefinition, Keys], Lookup]
RETRY_SECONDS = 10.0


class _File(NamedTuple):
    """What is opened once, however many products are served from it."""

    path: str
    sha256: str
    definition: VerificationDefinition


def _file_of(product: SnapshotProduct) -> _File:
    return _File(product.artifact_path, product.artifact_sha256, product.verification)


class Artifacts:
    """Look-ups by product. One whose file is missing or changed is tried again now and then."""

    def __init__(self, home: Path, keys: Keys, open_lookup: OpenLookup) -> None:
        """Start with nothing loaded."""
        self._home, self._keys, self._open_lookup = home, keys, open_lookup
        self._lookups: dict[ProductId, Lookup] = {}
        self._files: dict[_File, Lookup] = {}
        self._wanted: dict[ProductId, SnapshotProduct] = {}
        self._failed_at: dict[ProductId, float] = {}

    def want(self, products: tuple[SnapshotProduct, ...]) -> None:
        """Say which products are served now; look-ups of others are let go."""
        wanted = {product.id: product for product in products}
        stale = {name for name in self._lookups if wanted.get(name) != self._wanted.get(name)}
        self._lookups = {name: lookup for name, lookup in self._lookups.items() if name not in stale}
        self._failed_at = {
            name: at for name, at in self._failed_at.items() if wanted.get(name) == self._wanted.get(name)
        }
        self._wanted = wanted
        files = {_file_of(product) for product in products}
        self._files = {file: lookup for file, lookup in self._files.items() if file in files}

    def close(self) -> None:
        """Let go of every file."""
        self.want(())

    def find(self, product: SnapshotProduct) -> Lookup | None:
        """Return the look-up of a product, or ``None`` while its file is not loaded."""
        return self._lookups.get(product.id)

    def _missing(self) -> list[SnapshotProduct]:
        now = time.monotonic()
        return [
            product
            for name, product in self._wanted.items()
            if name not in self._lookups and now - self._failed_at.get(name, float("-inf")) >= RETRY_SECONDS
        ]

    def load_missing(self) -> None:
        """Load what is wanted and not there."""
        for product in self._missing():
            self._keep(product, self._files.get(_file_of(product)) or self._load(product))

    async def load_aside(self) -> None:
        """Load what is wanted and not there, without holding up calls."""
        for product in self._missing():
            lookup = self._files.get(_file_of(product))
            if lookup is None:
                lookup = await asyncio.get_running_loop().run_in_executor(None, self._load, product)
            self._keep(product, lookup)

    def _keep(self, product: SnapshotProduct, lookup: Lookup | None) -> None:
        if lookup is None:
            self._failed_at[product.id] = time.monotonic()
        elif self._wanted.get(product.id) == product:
            self._lookups[product.id] = self._files[_file_of(product)] = lookup

    def _load(self, product: SnapshotProduct) -> Lookup | None:
        """Check the file's digest and open it. Runs beside the calls."""
        path = self._home / product.artifact_path
        try:
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            if sha256 != product.artifact_sha256:
                log.error("product %s: its file is not what was released", product.id)
                return None
            return self._open_lookup(path, product.verification, self._keys)
        except Exception as error:  # noqa: BLE001 - one product that cannot be loaded must not stop the others
            log.error("product %s: its file cannot be loaded: %s", product.id, type(error).__name__)  # noqa: TRY400
            return None
