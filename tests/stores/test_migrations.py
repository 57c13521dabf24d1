"""Migrations give every store exactly the tables that the code declares, and leave the job queue's alone."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from dbos import run_dbos_database_migrations
from sqlalchemy import Engine, inspect, text

from gongshu.base.site import Site
from gongshu.base.tables import METADATA
from gongshu.server.database import ControlDatabase
from gongshu.server.migrate import alembic_config, upgrade
from gongshu.server.wiring import make_site


@pytest.fixture
def empty(tmp_path: Path, database_url: str) -> Iterator[Site]:
    site = make_site(tmp_path / "var", database_url=database_url)
    yield site
    site.db.close()


def engine_of(site: Site) -> Engine:
    assert isinstance(site.db, ControlDatabase)
    return site.db.engine


def differences(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), METADATA))


def tables(engine: Engine) -> set[tuple[str | None, str]]:
    seen = inspect(engine)
    places = seen.get_schema_names() if engine.dialect.name == "postgresql" else [None]
    return {(place, name) for place in places for name in seen.get_table_names(schema=place)}


def test_an_empty_database_gets_exactly_the_declared_tables(empty: Site) -> None:
    upgrade(empty)
    assert differences(engine_of(empty)) == []
    assert set(inspect(engine_of(empty)).get_table_names()) == {*METADATA.tables, "alembic_version"}


def test_upgrading_twice_changes_nothing(empty: Site) -> None:
    upgrade(empty)
    upgrade(empty)
    assert differences(engine_of(empty)) == []


def test_processes_that_start_together_wait_for_each_other(tmp_path: Path, database_url: str) -> None:
    code = "import sys, pathlib; from gongshu.server import migrate, wiring; migrate.upgrade(wiring.make_site(pathlib.Path(sys.argv[1]), database_url=sys.argv[2]))"
    starts = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path, database_url], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [one.communicate(timeout=120)[1] for one in starts] == [""] * 3
    assert [one.returncode for one in starts] == [0] * 3


def test_the_job_queues_tables_are_left_alone(empty: Site, database_url: str) -> None:
    run_dbos_database_migrations(database_url)
    queue = tables(engine_of(empty))
    assert len(queue) > 5
    upgrade(empty)
    assert queue < tables(engine_of(empty))
    # Writing the next migration must not drop them either.
    command.check(alembic_config(_database(empty)))


def test_a_downgrade_leaves_nothing_of_ours(empty: Site) -> None:
    upgrade(empty)
    command.downgrade(alembic_config(_database(empty)), "base")
    assert set(inspect(engine_of(empty)).get_table_names()) == {"alembic_version"}


def test_a_failing_migration_leaves_the_database_as_it_was(empty: Site) -> None:
    engine = engine_of(empty)
    last = max(METADATA.tables)
    with engine.connect() as connection, connection.begin():
        connection.execute(text(f"CREATE TABLE {last} (x INTEGER)"))
    with pytest.raises(Exception, match="already exists"):
        upgrade(empty)
    assert set(inspect(engine).get_table_names()) == {last}


def test_migrations_are_one_line_without_branches(empty: Site) -> None:
    scripts = ScriptDirectory.from_config(alembic_config(_database(empty)))
    revisions = list(scripts.walk_revisions())
    assert len(scripts.get_heads()) == 1
    assert [revision.revision for revision in reversed(revisions)] == [f"{n:04d}" for n in range(1, len(revisions) + 1)]


def _database(site: Site) -> ControlDatabase:
    assert isinstance(site.db, ControlDatabase)
    return site.db
