"""Tables of parties, people and credentials."""

from datetime import datetime

from sqlalchemy import select

from gongshu.base.ids import PartyId
from gongshu.base.site import Transaction
from gongshu.base.tables import Documents, moment, short
from gongshu.parties.types import ApiToken, Party, Password, Person, Session

PARTIES = Documents(
    "party", Party, short("credit_code", unique=True), index=lambda party: {"credit_code": party.credit_code}
)
PEOPLE = Documents(
    "person", Person, short("login", unique=True), short("party"),
    index=lambda person: {"login": person.login, "party": person.party},
)  # fmt: skip
PASSWORDS = Documents("password", Password)
SESSIONS = Documents("session", Session, moment("expires_at"), index=lambda session: {"expires_at": session.expires_at})
TOKENS = Documents(
    "api_token", ApiToken, short("person"), moment("expires_at"),
    index=lambda token: {"person": token.person, "expires_at": token.expires_at},
)  # fmt: skip


def find_by_code(tx: Transaction, credit_code: str) -> Party | None:
    """Return the party with this credit code."""
    return next(iter(PARTIES.all(tx, credit_code=credit_code)), None) if credit_code.isprintable() else None


def find_by_login(tx: Transaction, login: str) -> Person | None:
    """Return the person with this login name. What somebody typed may be anything, also what no store can hold."""
    return next(iter(PEOPLE.all(tx, login=login)), None) if login.isprintable() else None


def all_party_ids(tx: Transaction) -> frozenset[PartyId]:
    """Return the ids of all parties."""
    return frozenset(PartyId(row[0]) for row in tx.execute(select(PARTIES.table.c.id)))


def is_empty(tx: Transaction) -> bool:
    """Whether there is no party yet."""
    return PARTIES.count(tx) == 0


def delete_expired(tx: Transaction, now: datetime) -> None:
    """Forget sessions and tokens that no longer count; the audit log remembers them."""
    for table in (SESSIONS.table, TOKENS.table):
        tx.execute(table.delete().where(table.c.expires_at <= now))


def delete_session(tx: Transaction, session_id: str) -> None:
    """Forget one session."""
    tx.execute(SESSIONS.table.delete().where(SESSIONS.table.c.id == session_id))


def delete_token(tx: Transaction, token_id: str) -> None:
    """Forget one token."""
    tx.execute(TOKENS.table.delete().where(TOKENS.table.c.id == token_id))
