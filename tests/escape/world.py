"""The path of a statement without its outer walls, for attackers: the gate, the projections, the engine, thresholds.

What the engine's own process does with a permitted statement is done here in one engine for many: stages, the final
statement, the report; an error is a code. So what is left is what gate and thresholds hold by themselves.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from gongshu.base.decisions import Denied
from gongshu.compute.adapters import projections as adapter
from gongshu.compute.rules import decide_query, jobs
from gongshu.compute.rules import projections as written
from gongshu.compute.types import GovernedQuery, JobReport, Projection, Relation
from tests.governed import THRESHOLDS, WRITTEN

KEY = b"k" * 32
MEMORY_LIMIT = "1GB"
Rows = Callable[[Relation], Iterable[Sequence[Any]]]


@dataclass(frozen=True)
class Answer:
    """What came of one statement: refused with these codes, ended with a code, or rows with a report."""

    refused: tuple[str, ...] = ()
    said: str = ""  # everything that the refusal tells
    code: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    report: JobReport | None = None

    @property
    def shape(self) -> tuple[Any, ...]:
        """Everything but the numbers: codes, columns, rows in their order with texts, days and what is missing."""
        cells = [[c if c is None or isinstance(c, str | bool) else type(c).__name__ for c in row] for row in self.rows]
        return (self.refused, self.said, self.code, self.columns, cells, self.report)


@dataclass
class World:
    """An engine that holds every projection of ``relations``, written by the trusted side from source files."""

    folder: Path
    relations: tuple[Relation, ...]
    rows: Rows
    engine: duckdb.DuckDBPyConnection = field(init=False)

    def __post_init__(self) -> None:
        """Write source files as ingestion would have, and the projections as ``service.running`` does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.engine = duckdb.connect(config={"threads": 1, "memory_limit": MEMORY_LIMIT, "temp_directory": ""})
        for made in self.relations:
            source, target = self.folder / f"{made.name}.source.parquet", self.folder / f"{made.name}.parquet"
            self._write_source(made, source)
            select = written.select_list(_everything(made), made, "data", key=KEY, mask_key=KEY)
            adapter.write(adapter.Recipe((source,), "data", select, ""), target)
            self.engine.read_parquet(str(target)).create(made.name)

    def _write_source(self, made: Relation, target: Path) -> None:
        described = ", ".join(f'"{c.name}" {WRITTEN[c.data_type]}' for c in made.columns)
        columns = zip(*self.rows(made), strict=True)
        lists = ", ".join(f"unnest(CAST(? AS {WRITTEN[c.data_type]}[]))" for c in made.columns)
        with duckdb.connect() as engine:
            engine.execute(f"CREATE TABLE made ({described})")
            engine.execute(f"INSERT INTO made SELECT {lists}", [list(cells) for cells in columns])
            engine.table("made").write_parquet(str(target))

    def ask(self, statements: Iterable[str]) -> list[Answer]:
        """Return what an attacker sees of each statement."""
        answers = []
        for sql in statements:
            decision = decide_query(self.relations, THRESHOLDS, sql)
            if isinstance(decision, Denied):
                said = " ".join(f"{r.what.en} {r.what.zh} {r.fix.en}" for r in decision.reasons)
                answers.append(Answer(refused=tuple(r.code for r in decision.reasons), said=said))
            else:
                answers.append(self.run(decision.value))
        return answers

    def run(self, query: GovernedQuery) -> Answer:
        """Run what was permitted, with its stages."""
        with self._stages(query):
            try:
                return self._run(query)
            except duckdb.OutOfMemoryException:
                return Answer(code="memory-exceeded")
            except duckdb.Error:
                return Answer(code="engine-failed")

    @contextmanager
    def _stages(self, query: GovernedQuery) -> Iterator[None]:
        try:
            yield
        finally:
            for stage in query.stages:
                self.engine.execute(f'DROP TABLE IF EXISTS temp."{stage.name}"')

    def _run(self, query: GovernedQuery) -> Answer:
        lost, units, is_negative = 0, 0, False
        for stage in query.stages:
            self.engine.execute(f'CREATE TEMP TABLE "{stage.name}" AS {stage.sql}')
            if stage.is_counted:
                counted = self.engine.execute(
                    "SELECT count(*) FILTER (NOT passes), coalesce(sum(units) FILTER (NOT passes), 0), "
                    f'coalesce(bool_or(negative) FILTER (passes), false) FROM "{stage.name}"'
                ).fetchall()[0]
                lost, units, is_negative = lost + counted[0], units + int(counted[1]), is_negative or counted[2]
        found = self.engine.execute(query.sql)
        columns, rows = tuple(item[0] for item in found.description or ()), tuple(found.fetchall())
        report = jobs.report_of(
            rows=len(rows), groups=lost, units=units, units_min=THRESHOLDS.units_min, runtime_ms=0, defences=(),
            negative=is_negative, has_groups=bool(query.stages),
        )  # fmt: skip
        return Answer(columns=columns, rows=rows, report=report)


def _everything(made: Relation) -> Projection:
    names = tuple(column.name for column in made.columns)
    return Projection(made.name, made.resource, names, names, names, has_unit=bool(made.policy.unit))
