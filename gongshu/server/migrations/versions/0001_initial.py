"""Every table of the first release. A table of documents is its name and the columns that are searched."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def short(name: str, *, unique: bool = False, nullable: bool = True) -> sa.Column[str]:
    """Return a column for an id, a status or a code."""
    return sa.Column(name, sa.String(200), index=not unique, unique=unique, nullable=nullable)


def whole(name: str) -> sa.Column[int]:
    """Return a column for a whole number."""
    return sa.Column(name, sa.Integer, index=True)


def never_negative(name: str) -> sa.Column[int]:
    """Return a column for a whole number that the database itself keeps from going below zero."""
    check = sa.CheckConstraint(f"{name} >= 0", name=f"{name}_never_negative")
    return sa.Column(name, sa.BigInteger, check, nullable=False)


def moment(name: str) -> sa.Column[Any]:
    """Return a column for an instant."""
    return sa.Column(name, sa.DateTime(timezone=True), index=True)


DOCUMENTS: dict[str, tuple[sa.Column[Any], ...]] = {
    "adjustment": (short("statement"), short("product"), short("consumer"), short("operator")),
    "agreement": (short("agency"), short("operator"), short("status")),
    "api_key": (short("contract"), short("party"), short("secret_sha256", unique=True), short("is_revoked")),
    "api_token": (short("person"), moment("expires_at")),
    "authorization_grant": (short("agreement", unique=True), short("agency"), short("operator"), short("status")),
    "confirmation": (),
    "budget_charge": (short("entitlement"), short("plan_digest")),
    "consent": (short("consumer"), short("operator"), short("contract"), short("status")),
    "contract": (
        short("code", unique=True),
        short("product"),
        short("grant"),
        short("operator"),
        short("consumer"),
        short("status"),
    ),
    "derived_relation": (short("entitlement"), short("state")),
    "dispute": (short("statement"), short("consumer"), short("operator"), short("status")),
    "entitlement": (short("grant_id"), short("operator"), short("developer"), short("status")),
    "exit_record": (short("grant_id", unique=True),),
    "gateway": (short("status"),),
    "gateway_view": (),
    "job": (short("developer"), short("operator"), short("entitlement"), short("grant"), short("status")),
    "job_progress": (),
    "joint_agreement": (
        short("developer"),
        short("operator"),
        short("grant"),
        short("status"),
        short("nonce"),
        short("address"),
    ),
    "listing": (short("product"), short("operator"), short("status")),
    "output": (short("job", unique=True), short("author_party"), short("operator"), short("grant"), short("status")),
    "pack": (short("contract"), short("operator")),
    "party": (short("credit_code", unique=True),),
    "password": (),
    "person": (short("login", unique=True), short("party")),
    "plan": (short("agency"), short("status")),
    "privacy_budget": (never_negative("epsilon_milli_left"), never_negative("delta_pico_left")),
    "product": (short("operator"), short("grant"), short("status")),
    "product_order": (short("listing"), short("consumer"), short("operator"), short("status")),
    "registration": (short("resource"), short("registrant"), short("status"), short("code", unique=True)),
    "release": (short("output", unique=True), short("operator"), short("grant")),
    "resource": (short("supplier"), short("name", unique=True), whole("is_usable")),
    "resource_version": (short("resource"), whole("number")),
    "scenario": (short("grant_id"), short("operator"), short("status")),
    "session": (moment("expires_at"),),
    "snapshot": (),
    "statement": (short("contract"), short("month"), short("product"), short("consumer"), short("operator")),
    "usage_count": (short("contract"), short("segment"), short("month")),
    "usage_fault": (short("segment"),),
    "usage_segment": (short("gateway"),),
    "usage_table": (short("month"),),
}


def upgrade() -> None:
    """Make the tables."""
    for name, columns in DOCUMENTS.items():
        op.create_table(
            name,
            sa.Column("id", sa.String(80), primary_key=True),
            sa.Column("document", sa.Text, nullable=False),
            sa.Column("document_digest", sa.String(64), nullable=False),
            *columns,
        )
    make_audit_tables()
    make_idempotency_tables()


def downgrade() -> None:
    """Drop the tables."""
    for name in ("audit_checkpoint", "audit_entry", "audit_origin", "idempotency_key", *DOCUMENTS):
        op.drop_table(name)


def make_audit_tables() -> None:
    """Make the tables of audit that hold no documents."""
    op.create_table(
        "audit_checkpoint",
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("root", sa.String(64), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "audit_entry",
        sa.Column(
            "sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False
        ),
        sa.Column("id", sa.String(80), nullable=False, unique=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.String(200), nullable=False),
        sa.Column("party", sa.String(200), nullable=False),
        sa.Column("action", sa.String(200), nullable=False),
        sa.Column("subject_kind", sa.String(200), nullable=False),
        sa.Column("subject_id", sa.String(200), nullable=False),
        sa.Column("outcome", sa.String(200), nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Index("ix_audit_entry_action", "action"),
        sa.Index("ix_audit_entry_outcome", "outcome"),
        sa.Index("ix_audit_entry_party", "party"),
        sa.Index("ix_audit_entry_subject", "subject_id", "subject_kind"),
    )
    op.create_table(
        "audit_origin",
        sa.Column("origin_id", sa.String(200), primary_key=True),
        sa.Column("origin_kind", sa.String(200), primary_key=True),
        sa.Column("entry_id", sa.String(80), primary_key=True),
        sqlite_with_rowid=False,
    )


def make_idempotency_tables() -> None:
    """Make the tables of idempotency that hold no documents."""
    op.create_table(
        "idempotency_key",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("request_digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("content_type", sa.String(200), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
