"""Python jobs in tests: a policy with columns that programs may get, a site whose jobs end at once, runs in a cell."""

from dataclasses import replace
from pathlib import Path

import duckdb

from gongshu.base.site import Site
from gongshu.compute.adapters import programs
from gongshu.compute.adapters.programs import ProgramOutcome, ProgramRun
from gongshu.compute.service import Submission
from gongshu.compute.types import JobLimits, ProgramInput
from gongshu.policies.types import ResourcePolicy, Use
from tests import governed_site

OPEN_TO_PROGRAMS = frozenset({Use.FILTER, Use.GROUP, Use.TOTAL})
LIMITS = JobLimits(memory_bytes_max=1 << 30, runtime_seconds_max=20, output_rows_max=10_000, output_bytes_max=8 << 20)
PRINTED_BYTES_MAX = 65_536

COUNTING = """
import polars as pl
from gongshu import job

rows = job.polars("enterprise")
print(rows.columns, rows.height > 0)
job.write_table("by-region.parquet", rows.group_by("地区").agg(pl.len().alias("n"), pl.col("注册资本").sum().alias("total")))
"""
COUNTED = Submission(COUNTING, (ProgramInput("enterprise", ("信用代码", "地区", "注册资本")),), ("by-region.parquet",))


def policy() -> ResourcePolicy:
    """Give programs region and capital; the credit code comes as a pseudonym, names not at all."""
    given = governed_site.policy()
    columns = tuple(
        replace(column, uses=OPEN_TO_PROGRAMS) if column.column in {"地区", "注册资本"} else column
        for column in given.columns
    )
    return replace(given, columns=columns)


def without_ticks(site: Site) -> Site:
    """Return the site with Python jobs that end when they end."""
    entries = tuple(
        replace(entry, value=0) if entry.key == "compute.python.tick_seconds" else entry
        for entry in site.parameters.entries
    )
    return replace(site, parameters=replace(site.parameters, entries=entries))


def run(
    place: Path, code: str, outputs: tuple[str, ...] = ("out.txt",), limits: JobLimits = LIMITS
) -> tuple[ProgramOutcome, Path]:
    """Run ``code`` in a cell with one relation ``t`` (100 rows); return how it ended and the outbox."""
    outbox, relation = place / "outbox", place / "t.parquet"
    outbox.mkdir(parents=True)
    duckdb.sql("SELECT i AS id, i % 5 AS k, 'v' || i AS name FROM range(100) AS r(i)").write_parquet(str(relation))
    image = programs.find_job_image()
    assert image is not None, "run `make setup-job`"
    given = ProgramRun(image, code, {"t": relation}, outputs, limits, PRINTED_BYTES_MAX, place, outbox)
    return programs.run_program(given), outbox
