"""Organisations, people, credentials."""

from dataclasses import dataclass
from datetime import datetime

from gongshu.access.types import Actor, Role
from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import PartyId, PersonId


@dataclass(frozen=True)
class Party:
    """An organisation. ``affiliates`` are organisations under common control (关联方, 27号 art.6)."""

    id: PartyId
    name: str
    credit_code: str
    roles: frozenset[Role]
    region: str
    is_public_institution: bool = False  # 事业单位: only such a body can be registrar (26号 art.3)
    affiliates: frozenset[PartyId] = frozenset()

    @property
    def ref(self) -> Ref:
        """This party as it stands."""
        return Ref("party", self.id, digest_of(self))


@dataclass(frozen=True)
class Person:
    """A handling person (经办人) of one organisation."""

    id: PersonId
    party: PartyId
    name: str
    login: str
    roles: frozenset[Role]
    is_active: bool = True

    @property
    def ref(self) -> Ref:
        """This person as it stands."""
        return Ref("person", self.id, digest_of(self))


@dataclass(frozen=True)
class Password:
    """An argon2id hash, kept apart from the person."""

    id: PersonId
    argon2id: str
    failures: int = 0
    locked_until: datetime | None = None


@dataclass(frozen=True)
class Session:
    """A signed-in browser. ``id`` is the SHA-256 of the cookie's secret; ``csrf`` is the token its forms carry."""

    id: str
    person: PersonId
    csrf: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class ApiToken:
    """A personal bearer token for ``/api/v1``. ``id`` is the SHA-256 of the secret, which was shown once."""

    id: str
    person: PersonId
    label: str
    created_at: datetime
    expires_at: datetime

    @property
    def ref(self) -> Ref:
        """This token; nothing of the secret is in it but its SHA-256."""
        return Ref("api_token", self.id, digest_of(self))


ANONYMOUS = Actor(PersonId("anonymous"), PartyId("public"), frozenset({Role.PUBLIC}), name="")
"""Somebody who has not signed in."""
