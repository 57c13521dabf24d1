"""Alembic's environment: one engine, handed over by ``server.migrate``; batch mode, because SQLite cannot alter."""

from alembic import context

from gongshu.base.tables import METADATA

engine = context.config.attributes["engine"]


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Leave tables alone that are not on our ``MetaData`` (the job queue keeps its own)."""
    return kind != "table" or name in METADATA.tables


with engine.connect() as connection:
    connection.execution_options(gongshu_writes=True)
    context.configure(
        connection=connection, target_metadata=METADATA, render_as_batch=True, include_name=include_name,
        compare_type=True,
    )  # fmt: skip
    with context.begin_transaction():
        context.run_migrations()
