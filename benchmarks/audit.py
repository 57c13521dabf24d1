"""How fast decisions enter the audit log, against what the disk allows: write and fdatasync of the same bytes."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gongshu.access.types import SYSTEM
from gongshu.audit import service as audit
from gongshu.base.decisions import Permitted
from gongshu.base.digest import Ref, sha256_hex
from gongshu.base.site import Site
from gongshu.base.tables import METADATA
from gongshu.server.wiring import make_site

ROUNDS = 5
ENTRIES_ALONE = 400
ENTRIES_BATCHED = 6_400
BATCH = 64  # entries that share a transaction: what collecting one usage segment, or ending a grant, writes
BUILD = Path(__file__).resolve().parent.parent / "build"  # a real disk; a temporary folder may lie in memory


def record_all(site: Site, entries: int, batch: int) -> float:
    """Record decisions, ``batch`` to a transaction; return entries per second. Each commit waits for the disk."""
    start = time.perf_counter()
    for first in range(0, entries, batch):
        with site.db.transaction() as tx:
            for number in range(first, first + batch):
                subject = Ref("contract", f"contract-{number:028d}", sha256_hex(b"%d" % number))
                origin = Ref("order", f"order-{number:028d}", subject.digest)
                audit.record(
                    tx, site, actor=SYSTEM, action="contract.sign", subject=subject, decision=Permitted(None),
                    origins=(origin,),
                )  # fmt: skip
    return entries / (time.perf_counter() - start)


def append_all(path: Path, entry: bytes, entries: int, batch: int) -> float:
    """Append bytes to a file, with one fdatasync for each ``batch``; return entries per second."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        start = time.perf_counter()
        for _ in range(0, entries, batch):
            os.write(handle, entry * batch)
            os.fdatasync(handle)
        return entries / (time.perf_counter() - start)
    finally:
        os.close(handle)


def alternate(*runs: Callable[[], float]) -> list[float]:
    """Return the median of each run over some rounds, taken in turns so that a busy disk hits all of them."""
    seen = [[run() for run in runs] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*seen, strict=True)]


def measure() -> dict[str, dict[str, float | str]]:
    """Return the ratios of our appends per second to the disk's."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="bench-") as folder:
        site = make_site(Path(folder) / "var")
        METADATA.create_all(site.db.engine)
        record_all(site, BATCH, BATCH)
        audit.integrate(site)
        bundle = (site.home / "audit/tile/entries/000.p" / str(BATCH)).read_bytes()
        entry, path = bundle[: len(bundle) // BATCH], Path(folder) / "limit"
        batched, alone, limit, batched_limit = alternate(
            lambda: record_all(site, ENTRIES_BATCHED, BATCH),
            lambda: record_all(site, ENTRIES_ALONE, 1),
            lambda: append_all(path, entry, ENTRIES_ALONE, 1),
            lambda: append_all(path, entry, ENTRIES_BATCHED, BATCH),
        )
        start = time.perf_counter()
        sealed = audit.integrate(site).size - BATCH
        sealing = sealed / (time.perf_counter() - start)
        site.db.close()
    limit_text = "write+fdatasync of the same bytes"
    per_second = "appends/s"
    return {
        "audit_append_vs_fdatasync": {
            "value": batched / limit, "unit": "ratio", "limit": f"{limit_text}, one entry at a time ({per_second})",
            "limit_value": limit,
        },
        "audit_append_alone_vs_fdatasync": {
            "value": alone / limit, "unit": "ratio", "limit": f"{limit_text}, one entry at a time ({per_second})",
            "limit_value": limit,
        },
        "audit_append_vs_batched_fdatasync": {
            "value": batched / batched_limit, "unit": "ratio",
            "limit": f"{limit_text}, {BATCH} entries at a time ({per_second})", "limit_value": batched_limit,
        },
        "audit_seal_per_second": {
            "value": sealing, "unit": "entries/s", "limit": f"{limit_text}, {BATCH} entries at a time ({per_second})",
            "limit_value": batched_limit,
        },
    }  # fmt: skip
