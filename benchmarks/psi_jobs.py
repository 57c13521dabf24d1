"""How long two joint jobs take from registered tables of a million keys each to files in quarantine, against the same by hand.

By hand: an engine hashes the keys of each table into a file, the library is called directly on both files, and the
engine looks the keys found up again. Ours does more: decisions, the audit log, the sandbox, TLS, the threshold, progress.
"""

import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import file_digest
from pathlib import Path

import duckdb

from benchmarks.psi import BUILD, ROWS, SHARED, alternate, directly
from gongshu.base.digest import canonical_json
from gongshu.catalog import store as catalog_store
from gongshu.catalog.types import FileEntry, Manifest
from gongshu.compute import service as compute
from gongshu.compute.adapters.joint.environment import Environment, default_folder, find_environment
from gongshu.compute.rules import joint
from gongshu.compute.types import JobStatus, JointKind, JointLearners
from gongshu.registry import store as registry_store
from tests import governed_site
from tests.joint.nodes import KEY, OPEN_KEY, Node, agree, two_nodes

NONCE = "5a" * joint.NONCE_BYTES
TERMS = compute.JointTerms(JointKind.INTERSECTION, "measure", JointLearners.PROPOSER, runtime_seconds=600)
COLUMNS = ", ".join(f'NULL::VARCHAR AS "{name}"' for name in governed_site.COLUMNS if name != KEY)


def fill(node: Node, first: int) -> Path:
    """Give a node's registered version a million keys, the first of which is ``first``."""
    folder = node.home / "data" / governed_site.RESOURCE / "v1"
    (path,) = folder.glob("*.parquet")
    path.unlink()
    with duckdb.connect() as engine:
        made = f"'91' || printf('%016d', (i * 7919) % 1000000007) AS \"{KEY}\", {COLUMNS}"
        filled = (
            engine.sql(f"FROM range({first}, {first + ROWS}) AS t(i)")
            .project(made)
            .project(", ".join(f"'存续' AS \"{n}\"" if n == "状态" else f'"{n}"' for n in governed_site.COLUMNS))
        )
        filled.write_parquet(str(path), compression="zstd")
    with path.open("rb") as file:
        entry = FileEntry(path.name, file_digest(file, "sha256").hexdigest(), path.stat().st_size, ROWS)
    with node.site.db.transaction() as tx:
        (version,) = catalog_store.VERSIONS.all(tx)
        manifest = Manifest(version.resource, version.number, version.manifest.columns, (), (entry,))
        (folder / "manifest.json").write_bytes(canonical_json(manifest))
        after = replace(version, manifest=manifest, manifest_digest=manifest.digest, rows_in=ROWS, rows_kept=ROWS)
        catalog_store.VERSIONS.save(tx, version, after)
        (coded,) = registry_store.REGISTRATIONS.all(tx)
        registry_store.REGISTRATIONS.save(tx, coded, replace(coded, terms=replace(coded.terms, version=after.ref)))
    return path


def by_jobs(city: Node, bank: Node) -> float:
    """Agree, run both jobs at once as two workers would, and return the seconds of the runs."""
    halves = [replace(node.half(), rows_max=ROWS) for node in (city, bank)]
    _, ours, theirs = agree(city, bank, TERMS, city_half=halves[0], bank_half=halves[1])
    start = time.perf_counter()
    with ThreadPoolExecutor(2) as both:
        ended = list(both.map(lambda pair: compute.run_job(pair[0].site, pair[1]), ((bank, ours), (city, theirs))))
    seconds = time.perf_counter() - start
    done = ended[0]
    if any(job.status is not JobStatus.SUCCEEDED for job in ended) or done.report is None or done.report.rows != SHARED:
        raise RuntimeError(f"the jobs did not find the intersection: {[job.failure_code for job in ended]}")
    return seconds


def by_hand(environment: Environment, folder: Path, tables: tuple[Path, Path]) -> float:
    """Hash, call the library, look up: the same work with nothing around it; return its seconds."""
    hashed = joint.key_hash_sql(NONCE, "k")

    def bring(side: int) -> None:
        with duckdb.connect(config={"threads": 2}) as engine:
            source = engine.read_parquet(str(tables[side])).project(f'"{KEY}" AS k').distinct()
            source.project(f"{hashed} AS key").order("key").write_csv(str(folder / f"keys{side}.csv"), header=True)

    start = time.perf_counter()
    with ThreadPoolExecutor(2) as both:
        list(both.map(bring, (0, 1)))
    directly(environment, folder)
    with duckdb.connect(config={"threads": 2}) as engine:
        rows = engine.read_parquet(str(tables[0])).project(f'"{KEY}" AS k').distinct()
        engine.register("rows", rows.project(f"k, {hashed} AS key"))
        engine.register("found", engine.read_csv(str(folder / "out0.csv"), header=True))
        result = engine.sql("SELECT k FROM rows SEMI JOIN found USING (key) ORDER BY k")
        result.write_parquet(str(folder / "result.parquet"), compression="zstd")
        result.write_csv(str(folder / "result.csv"), header=True)
    return time.perf_counter() - start


def measure() -> dict[str, dict[str, float | str]]:
    """Return the ratio of the jobs' seconds to those by hand; nothing where joint computing is not installed."""
    from tests.joint.conftest import free_ports

    environment = find_environment(default_folder())
    if environment is None or shutil.which("bwrap") is None:
        print("psi_jobs: not measured; run: make setup-joint (and install bubblewrap)", file=sys.stderr)
        return {}
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as made:
        folder = Path(made)
        with two_nodes(folder, free_ports(), policy=OPEN_KEY) as (city, bank):
            tables = fill(bank, 0), fill(city, ROWS - SHARED)
            ours, theirs = alternate(lambda: by_jobs(city, bank), lambda: by_hand(environment, folder, tables))
    ratio = statistics.median(own / limit for own, limit in zip(ours, theirs, strict=True))
    return {
        "psi_job_vs_library": {
            "value": ratio, "unit": "ratio",
            "limit": "hash, spu.psi called directly, look up, by hand, 1 M × 1 M, RR22",
            "limit_value": statistics.median(theirs),
        }
    }  # fmt: skip
