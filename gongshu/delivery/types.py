"""Keys, the policy snapshot the gateway serves from, answers and receipts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from gongshu.base.decisions import Reason
from gongshu.base.digest import Ref
from gongshu.base.ids import ContractId, KeyId, PartyId, PersonId, ProductId
from gongshu.base.signing import SignedHeader
from gongshu.metering.types import ResultCode
from gongshu.policies.types import UsagePolicy
from gongshu.products.types import Definition, ProductKind


class KeyKind(StrEnum):
    """How a key proves who calls."""

    PLAIN = "plain"  # the secret itself goes with each call
    SIGNING = "signing"  # the secret signs each call and never travels


@dataclass(frozen=True)
class ApiKey:
    """A consumer's key for one contract. ``secret_sha256`` is all that is kept; the secret was shown once.

    Of a signing key not even that: ``secret_sha256`` stands for its id, and the secret is made anew of the platform's own.
    """

    id: KeyId
    contract: ContractId
    party: PartyId
    created_by: PersonId
    secret_sha256: str
    created_at: datetime
    revoked_at: datetime | None = None
    kind: KeyKind = KeyKind.PLAIN

    @property
    def ref(self) -> Ref:
        """This key by the hash of its secret."""
        return Ref("key", self.id, self.secret_sha256)


@dataclass(frozen=True)
class SnapshotContract:
    """A contract as the gateway knows it. ``stop_code`` is empty, or says why it is served no longer."""

    id: ContractId
    digest: str
    product: ProductId
    consumer: PartyId
    policy: UsagePolicy
    charges_no_record: bool
    is_free: bool
    key_ids: dict[str, KeyId]  # secret_sha256 → key id
    stop_code: str = ""
    product_digest: str = ""
    signing_keys: frozenset[KeyId] = frozenset()  # those of ``key_ids`` that only sign


@dataclass(frozen=True)
class SnapshotProduct:
    """A product as the gateway knows it: where its artifact is, what its digest must be, and what it answers.

    ``needs_consent``: a call carries the consent of the one whom it is about.
    """

    id: ProductId
    digest: str
    artifact_sha256: str
    artifact_path: str  # relative to the home folder
    kind: ProductKind
    definition: Definition
    needs_consent: bool = False


@dataclass(frozen=True)
class Snapshot:
    """Everything the gateway needs, signed and numbered by the control plane; refused when older than ``age_seconds_max``.

    ``log_size``: how many entries of the log it takes into account. ``rebuild_at``: when something that it rests on runs
    out, so that all of it is looked at again.
    """

    number: int
    issued_at: datetime
    age_seconds_max: int
    contracts: tuple[SnapshotContract, ...]
    products: tuple[SnapshotProduct, ...]
    log_size: int = 0
    rebuild_at: datetime | None = None
    withdrawn: tuple[str, ...] = ()  # ids of consents
    consent_key: str = ""


@dataclass(frozen=True)
class SnapshotHead:
    """The part of a snapshot that is signed: the digests of its shards, which hold contracts by key and products by id.

    ``consents`` are those of the shards of withdrawn consents, and ``consent_key``, in hexadecimal, checks consent tokens.
    """

    number: int
    issued_at: datetime
    age_seconds_max: int
    contracts: tuple[str, ...]
    products: tuple[str, ...]
    log_size: int = 0
    rebuild_at: datetime | None = None
    consents: tuple[str, ...] = ()
    consent_key: str = ""

    @property
    def shards(self) -> tuple[str, ...]:
        """All shards by their digests."""
        return (*self.contracts, *self.products, *self.consents)


@dataclass(frozen=True)
class PublishedSnapshot:
    """What the log keeps of a snapshot: its number and the digest of its contracts and products."""

    number: int
    content_digest: str
    issued_at: datetime

    @property
    def id(self) -> str:
        """The number, so that ids sort by it."""
        return f"{self.number:012d}"

    @property
    def ref(self) -> Ref:
        """This snapshot, bound to its content."""
        return Ref("snapshot", self.id, self.content_digest)


@dataclass(frozen=True)
class InputField:
    """An input field of a product's calls."""

    name: str
    is_required: bool


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What an opened artifact says to one call.

    ``content`` goes to the caller beside the receipt: JSON, or with ``media`` (``application/pdf`` …) the whole body, the
    receipt then being a header. With the result ``refused``, ``reasons`` say what is wrong with the input: what only the
    artifact can know. They never repeat it. ``file`` is the path of a file that goes to the caller when it asks for its
    bytes; ``content`` then says what it is.
    """

    result: ResultCode
    content: bytes = b""
    media: str = ""
    reasons: tuple[Reason, ...] = ()
    file: str = ""


class Receipt(msgspec.Struct, frozen=True):
    """What an answer carries: enough to find the call again, nothing of its content."""

    call: str  # <segment>:<offset>, the position of the usage record
    request_id: str
    contract: ContractId
    contract_digest: str
    product: ProductId
    product_digest: str
    snapshot: int
    at: datetime
    result: ResultCode
    is_charged: bool


class ItemAnswer(msgspec.Struct, frozen=True, gc=False, omit_defaults=False):
    """The answer to one item of a batch. ``error`` is the code of a refusal; ``call`` the position of its record."""

    id: str
    code: int
    result: ResultCode
    call: str
    is_charged: bool = False
    error: str = ""


class BatchAnswered(msgspec.Struct, frozen=True):
    """The answer to a batch: what all items have in common, and each item's own."""

    code: int
    request_id: str
    contract: ContractId
    contract_digest: str
    product: ProductId
    product_digest: str
    snapshot: int
    at: datetime
    items: tuple[ItemAnswer, ...]
    contents: tuple[bytes, ...] = ()  # JSON beside each item, empty where there is none; part of the items in the body


@dataclass(frozen=True)
class Collector:
    """Where traces go (OTLP over HTTP), and how many of a thousand calls are traced."""

    endpoint: str
    per_thousand: int


class Trace(msgspec.Struct, gc=False):
    """The moments of a call that is traced, in nanoseconds since 1970; ``parent`` is the caller's W3C ``traceparent``."""

    parent: str
    came: int
    decided: int = 0
    recorded: int = 0


class IncomingCall(msgspec.Struct, frozen=True, gc=False):
    """A call as it arrived, not yet believed."""

    path: str
    secret: bytes
    request_id: str
    purpose: str  # from the header; without it, the body's
    body: bytes
    is_body_too_long: bool = False
    address: str = ""
    certificate: str = ""  # SHA-256 of the caller's certificate, as a trusted proxy reports it
    signed: SignedHeader | None = None
    timestamp: str = ""
    nonce: str = ""
    consent: str = ""
    query: str = ""  # what stands behind the question mark: signed with the path
    method: str = "POST"
    trace: Trace | None = None
    proven: bytes = b""  # never from outside: the hash of a key that was proved when its bulk task was taken
    is_proved_by_signature: bool = False


class BulkTask(msgspec.Struct, frozen=True):
    """Many items that one caller left to be answered. ``opener`` is the SHA-256 of the key that it showed.

    ``done`` items were asked, ``answered`` of them got an answer. ``stop_code`` says why a task ended before its last item.
    """

    id: str
    contract: ContractId
    product: ProductId
    opener: str
    request_id: str
    digest: str  # keyed, of the body
    purpose: str
    address: str
    certificate: str
    is_signed: bool
    items: int
    at: datetime
    done: int = 0
    answered: int = 0
    ended_at: datetime | None = None
    stop_code: str = ""


@dataclass(frozen=True)
class Answered:
    """A call that was served. The record is on disk. ``content``, ``media`` and ``file`` are as in ``Outcome``."""

    receipt: Receipt
    content: bytes = b""
    media: str = ""
    file: str = ""


@dataclass(frozen=True)
class Turned:
    """A call that was refused, with every reason. ``call`` is the position of its record, empty when it has none."""

    reasons: tuple[Reason, ...]
    call: str = ""
    retry_after_seconds: int = 0


@dataclass(frozen=True)
class CreatedKey:
    """A new key and its secret, which is shown this once and kept nowhere."""

    key: ApiKey
    secret: str
