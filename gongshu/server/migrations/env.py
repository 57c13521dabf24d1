"""Alembic's environment: one engine, handed over by ``server.migrate``; batch mode, because SQLite cannot alter.

Everything happens in one transaction of the one writer, so processes that start together wait for each other.
"""

from alembic import context
from sqlalchemy import text

from gongshu.base.tables import METADATA
from gongshu.server.database import WRITER_LOCK

engine = context.config.attributes["engine"]


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Leave tables alone that are not on our ``MetaData`` (the job queue keeps its own)."""
    return kind != "table" or name in METADATA.tables


with engine.connect() as connection:
    connection.execution_options(gongshu_writes=True)
    with connection.begin():
        if connection.dialect.name != "sqlite":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": WRITER_LOCK})
        context.configure(
            connection=connection, target_metadata=METADATA, render_as_batch=True, include_name=include_name,
            compare_type=True,
        )  # fmt: skip
        context.run_migrations()
