"""A log to tamper with: a real site whose entries, tiles and checkpoints a test may change behind its back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from gongshu.access.types import SYSTEM
from gongshu.audit import service as audit
from gongshu.base.decisions import Permitted
from gongshu.base.digest import Ref
from gongshu.base.site import Site
from gongshu.base.tables import METADATA
from gongshu.server.wiring import make_site


class Log:
    """A log under test."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.folder = site.home / "audit"
        self.recorded = 0

    def record(self, count: int) -> None:
        with self.site.db.transaction() as tx:
            for number in range(self.recorded, self.recorded + count):
                audit.record(
                    tx, self.site, actor=SYSTEM, action="thing.make", subject=Ref("thing", f"thing-{number}", "d" * 8),
                    decision=Permitted(None), origins=(Ref("thing", f"thing-{number - 1}", "d" * 8),),
                )  # fmt: skip
        self.recorded += count

    def seal(self, count: int) -> str:
        """Record some entries and return the checkpoint that holds them."""
        self.record(count)
        return audit.integrate(self.site).note

    def faults(self, handed_out: str = "") -> list[str]:
        return [f"{fault.where}: {fault.what}" for fault in audit.fsck(self.site, handed_out).faults]

    def sql(self, statement: str, **parameters: object) -> list[tuple[object, ...]]:
        with self.site.db.transaction() as tx:
            result = tx.execute(text(statement), parameters)
            return [tuple(row) for row in result] if result.returns_rows else []

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file() and path.name not in {"lock", "draft"})

    def ids(self) -> list[str]:
        return [str(row[0]) for row in self.sql("SELECT id FROM audit_entry ORDER BY sequence")]


@pytest.fixture
def make_log(tmp_path: Path) -> Iterator[Callable[..., Log]]:
    """Give a function that opens a fresh log; it lies on SQLite unless a database is named."""
    opened: list[Site] = []

    def make(database_url: str = "") -> Log:
        site = make_site(tmp_path / f"home-{len(opened)}", database_url=database_url)
        METADATA.create_all(site.db.engine)
        opened.append(site)
        return Log(site)

    yield make
    for site in opened:
        site.db.close()


@pytest.fixture
def log(make_log: Callable[..., Log]) -> Log:
    """Give an empty log on SQLite."""
    return make_log()
