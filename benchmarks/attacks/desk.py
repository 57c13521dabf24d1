"""The platform as an ordinary developer meets it: a statement goes in, released groups come out, or nothing.

The gate decides with the default policy; the engine runs stages with their thresholds; the ledger, where it is switched on,
lays the groups beside all earlier ones of everybody, and those that are too near are withheld.
"""

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.attacks.population import COLUMNS, RELATION, TYPES, Person
from gongshu.base.decisions import Denied
from gongshu.compute.adapters import ledger as shelf
from gongshu.compute.adapters import projections as adapter
from gongshu.compute.rules import decide_query, ledger
from gongshu.compute.rules import projections as written
from gongshu.compute.types import GovernedQuery, Projection
from gongshu.policies.types import Thresholds

DEFAULT = Thresholds(units_min=10, dominance_p_percent=10, dominance_top_n=2, dominance_top_percent=90)
KEY = b"k" * 32
RULES = shelf.Decisions(ledger.decide_repeats, ledger.decide_sets)
Row = tuple[Any, ...]


@dataclass
class Desk:
    """Everybody's way to the data of one version. ``limits`` ``None``: no ledger."""

    limits: shelf.Limits | None
    thresholds: Thresholds = DEFAULT
    asked: int = 0
    shown: int = 0
    _place: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)
    _sets: list[Path] = field(default_factory=list)
    _engine: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)

    def load(self, people: list[Person]) -> "Desk":
        """Take in a version and make its projection."""
        described = ", ".join(f'"{name}" {TYPES[kind]}' for name, (kind, _) in COLUMNS.items())
        source = Path(self._place.name) / "source.parquet"
        with duckdb.connect() as engine:
            engine.execute(f"CREATE TABLE made ({described})")
            lists = ", ".join(f"unnest(CAST(? AS {TYPES[kind]}[]))" for kind, _ in COLUMNS.values())
            engine.execute(f"INSERT INTO made SELECT {lists}", [[p.values[name] for p in people] for name in COLUMNS])
            engine.table("made").write_parquet(str(source))
        projection = Projection(RELATION.name, RELATION.resource, tuple(COLUMNS), has_unit=True)
        select = written.select_list(projection, RELATION, "data", key=KEY, mask_key=KEY)
        adapter.write(adapter.Recipe((source,), "data", select, ""), self._whole)
        self._engine.read_parquet(str(self._whole)).create(RELATION.name)
        return self

    def afresh(self) -> "Desk":
        """Return a desk over the same version of which nobody has asked anything."""
        return replace(self, asked=0, shown=0, _sets=[])

    def close(self) -> None:
        """Remove the version and what was kept of the answers."""
        self._engine.close()
        self._place.cleanup()

    @property
    def _whole(self) -> Path:
        return Path(self._place.name) / "residents.parquet"

    def ask(self, sql: str) -> list[Row]:
        """Submit a statement from any account and return what is released of it."""
        self.asked += 1
        decision = decide_query((RELATION,), self.thresholds, sql)
        if isinstance(decision, Denied):
            return []
        query = decision.value
        rows = self._run(query)
        if self.limits is not None and query.traces:
            rows = self._weighed(query, rows, self.limits)
        self.shown += len(rows)
        return rows

    def number(self, sql: str) -> float | None:
        """Return the one number that a statement asks for, if it is released."""
        rows = self.ask(sql)
        return None if not rows or rows[0][0] is None else float(rows[0][0])

    def _run(self, query: GovernedQuery) -> list[Row]:
        for stage in query.stages:
            self._engine.execute(f'CREATE OR REPLACE TEMP TABLE "{stage.name}" AS {stage.sql}')
        return self._engine.execute(query.sql).fetchall()

    def _weighed(self, query: GovernedQuery, rows: list[Row], limits: shelf.Limits) -> list[Row]:
        trace, target = Path(self._place.name) / "trace.parquet", Path(self._place.name) / f"sets{self.asked}.parquet"
        self._engine.sql(ledger.trace_sql(query.traces)).write_parquet(str(trace))
        found = shelf.weigh(trace, query.traces, self._sets, self._whole, limits, target, RULES)
        if found.is_spent:
            return []
        if target.exists():
            self._shelve(target)
        if not found.groups:
            return rows
        stages: dict[str, tuple[int, ...]] = {}
        for number, groups in found.groups.items():
            name = query.traces[number].stage
            stages[name] = (*stages.get(name, ()), *groups)
        return self._run(ledger.without(query, stages))

    def _shelve(self, target: Path) -> None:
        """Keep all sets in one file: quicker to read than the platform's, which has one per job."""
        merged = Path(self._place.name) / f"merged{self.asked}.parquet"
        paths = [str(path) for path in (*self._sets, target)]
        self._engine.sql(
            'SELECT CASE WHEN "set" IS NOT NULL THEN dense_rank() OVER (ORDER BY filename, "set" NULLS LAST) END AS "set", '
            '* EXCLUDE ("set", filename) FROM read_parquet($paths, filename = true)',
            params={"paths": paths},
        ).write_parquet(str(merged))
        for path in (*self._sets, target):
            path.unlink()
        self._sets = [merged]
