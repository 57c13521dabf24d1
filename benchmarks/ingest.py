"""How fast a registration file becomes a version, against DuckDB's own CSV → Parquet on the same file.

Ours reads twice, checks every record's boundaries, parses amounts, counts each column and verifies check digits; the
limit only converts.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import duckdb

from examples.city import words
from examples.city.files import ENTERPRISE_HEADER, enterprise_row
from gongshu.access.types import Actor, Role
from gongshu.base.identifiers import credit_check_character
from gongshu.base.ids import PartyId, PersonId
from gongshu.base.site import Site
from gongshu.base.tables import METADATA
from gongshu.catalog import service as catalog
from gongshu.server.wiring import make_site

FILE_BYTES = 200_000_000
ROWS_DRAWN = 20_000  # these are varied until the file is full: drawing every row would take longer than measuring
ROUNDS = 3
BUILD = Path(__file__).resolve().parent.parent / "build"  # a real disk; a temporary folder may lie in memory


def lines() -> Iterator[bytes]:
    """Give registrations without end, each with a code, a name and an address of its own."""
    draw = Random(1)
    drawn = [enterprise_row(draw, "") for _ in range(ROWS_DRAWN)]
    number = 0
    while True:
        for name, _, founded, kind, person, amount, scope, province, district, _ in drawn:
            number += 1
            body = f"91999999MA{number:07d}"
            code = body + credit_check_character(body)
            address = (
                f"{words.CITY}{district}{words.STREETS[number % len(words.STREETS)]}{number % 9973}号{number % 31}室"
            )
            capital = f'"{amount}"' if "," in amount else amount
            yield (
                f'{name[:6]}{number}{name[6:]},{code},{founded},{kind},{person},{capital},"{scope}",{province},'
                f'{district},"{address}"\n'
            ).encode()


def make_file(path: Path) -> None:
    """Write a clean file of ``FILE_BYTES``."""
    with path.open("wb") as file:
        written = file.write(",".join(ENTERPRISE_HEADER).encode() + b"\n")
        for line in lines():
            written += file.write(line)
            if written >= FILE_BYTES:
                return


def ours(site: Site, actor: Actor, path: Path, number: int) -> float:
    """Ingest ``path`` as a version of a new resource; return MB/s."""
    resource = catalog.create_resource(
        site, actor, name=f"enterprise_{number}", title="企业登记", summary="测量用", theme="B0000", update_cycle="004",
        legal_basis="—",
    )  # fmt: skip
    start = time.perf_counter()
    version = catalog.ingest(site, actor, resource.id, [path])
    seconds = time.perf_counter() - start
    if version.rows_quarantined:
        raise RuntimeError("the file was meant to be clean")
    return path.stat().st_size / seconds / 1e6


def limit(path: Path, target: Path) -> float:
    """Convert ``path`` by DuckDB with its own guesses; return MB/s."""
    with duckdb.connect() as engine:
        start = time.perf_counter()
        engine.execute(f"COPY (FROM read_csv('{path}')) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        return path.stat().st_size / (time.perf_counter() - start) / 1e6


def measure() -> dict[str, dict[str, float | str]]:
    """Return the ratio of our MB/s to DuckDB's: the median of rounds, taken in turns."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="bench-") as folder:
        path = Path(folder) / "enterprises.csv"
        make_file(path)
        site = make_site(Path(folder) / "home")
        METADATA.create_all(site.db.engine)
        actor = Actor(PersonId("bench"), PartyId("bench"), frozenset({Role.SUPPLIER}))
        rounds = [
            (ours(site, actor, path, number), limit(path, Path(folder) / "limit.parquet")) for number in range(ROUNDS)
        ]
        site.db.close()
    mine, bound = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"ingest: {mine:.0f} MB/s, DuckDB: {bound:.0f} MB/s")
    return {
        "ingest_vs_duckdb": {
            "value": mine / bound,
            "unit": "ratio",
            "limit": "DuckDB read_csv→Parquet, same file, same machine (MB/s)",
            "limit_value": bound,
        }
    }
