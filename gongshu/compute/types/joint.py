"""Joint computing: proposals, tasks, letters, agreements."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from gongshu.base.digest import Ref, canonical_json, digest_of, sha256_hex
from gongshu.base.ids import EntitlementId, GrantId, JobId, PartyId, PersonId
from gongshu.catalog.types import DataType
from gongshu.policies.types import Thresholds


class JointKind(StrEnum):
    """What two parties compute: which keys both have (求交), how many (计数), or how many and their sum (求交求和)."""

    INTERSECTION = "intersection"
    COUNT = "count"
    SUMS = "sums"


class JointLearners(StrEnum):
    """Who is to learn the outcome, as a proposal says it: the peer's id is not known yet."""

    PROPOSER = "proposer"
    PEER = "peer"
    BOTH = "both"


@dataclass(frozen=True)
class JointSide:
    """One party's part: the entitlement it computes under, its relation, and at most ``rows_max`` keys of it.

    ``value_column`` is summed by key first. ``value_scale`` says how many decimal places are exact (2: fen). The node
    listens on ``address`` (``host:port``) and shows ``certificate`` (PEM), which the peer accepts and no other.
    ``is_padded``: random keys fill the file up to ``rows_max``, so that the peer does not learn how many there are.
    """

    party: PartyId
    entitlement: Ref
    relation: str
    key_column: str
    rows_max: int
    value_column: str = ""
    value_scale: int = 0
    name: str = ""
    address: str = ""
    certificate: str = ""
    is_padded: bool = False


@dataclass(frozen=True)
class JointLimits:
    """How long a node waits for the peer to come, for a word of it, and for the whole run."""

    connect_seconds: int
    silence_seconds: int
    runtime_seconds: int


@dataclass(frozen=True)
class JointProposal:
    """What the first party proposes. The other adds its own side; then it is a ``JointTask``.

    ``peer_brings_value``: in a task of kind ``sums``, whether the values are the peer's and not the proposer's.
    """

    id: str
    kind: JointKind
    purpose: str
    proposer: JointSide
    learners: JointLearners
    peer_brings_value: bool
    key_type: DataType
    thresholds: Thresholds
    nonce: str
    valid_until: datetime
    limits: JointLimits
    protocol: str
    library: str

    @property
    def digest(self) -> str:
        """The digest of the proposal."""
        return digest_of(self)

    @property
    def ref(self) -> Ref:
        """This proposal in the audit log: the same on both sides."""
        return Ref("joint_proposal", self.id, self.digest)


@dataclass(frozen=True)
class JointTask:
    """The document that both parties agree on: one run, one purpose, who learns, and from how many units on.

    ``key_type`` says how both sides bring keys into one normal form. ``nonce`` (64 hexadecimal digits, drawn by the
    proposer) makes the hashes of two tasks incomparable. It is good for one run until ``valid_until``.
    """

    id: str
    kind: JointKind
    purpose: str
    sides: tuple[JointSide, JointSide]
    learners: tuple[PartyId, ...]
    key_type: DataType
    thresholds: Thresholds
    nonce: str
    valid_until: datetime
    limits: JointLimits
    protocol: str
    library: str

    @property
    def document(self) -> bytes:
        """The canonical form, as both nodes read it."""
        return canonical_json(self)

    @property
    def digest(self) -> str:
        """The digest of the document."""
        return sha256_hex(self.document)

    @property
    def ref(self) -> Ref:
        """This task in the audit log: the same on both sides."""
        return Ref("joint_task", self.id, self.digest)

    def number_of(self, party: PartyId) -> int | None:
        """Return which side ``party`` is, or ``None``."""
        return next((number for number, side in enumerate(self.sides) if side.party == party), None)


@dataclass(frozen=True)
class JointResult:
    """What this side may know of the outcome. ``passes`` is None for a side that learns nothing.

    ``total`` is that of the value column, in its own unit. ``needs_review``: some part of the sum was negative.
    """

    passes: bool | None
    count: int | None = None
    total: Decimal | None = None
    needs_review: bool = False


@dataclass(frozen=True)
class JointLetter:
    """What travels between two installations, by whatever way: a proposal, its answer, or the confirmation.

    ``sender`` is the number of the side that wrote it. ``signature`` (hexadecimal) is over the digest of what is inside,
    made with the key of the certificate that the sender's side names.
    """

    form: str
    sender: int
    signature: str
    proposal: JointProposal | None = None
    task: JointTask | None = None


class JointStatus(StrEnum):
    """A joint agreement as one side keeps it."""

    PROPOSED = "proposed"  # one side is known
    ANSWERED = "answered"  # both sides are known; the proposer has not confirmed yet
    AGREED = "agreed"  # signed by both; good for one run
    SPENT = "spent"  # the two nodes have met
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class JointAgreement:
    """A joint task on its way to being agreed, and the evidence of it: both signatures over one digest.

    ``number`` is our side. ``task`` is there once both sides are known; ``peer_digest`` and ``peer_signature`` are what the
    peer signed. ``job`` is the run that waits, runs or ran under it.
    """

    id: str
    proposal: JointProposal
    number: int
    entitlement: EntitlementId
    developer: PartyId
    operator: PartyId
    grant: GrantId
    opened_by: PersonId
    opened_at: datetime
    status: JointStatus
    signature: str
    task: JointTask | None = None
    peer_digest: str = ""
    peer_signature: str = ""
    job: JobId | None = None
    met_at: datetime | None = None

    @property
    def ref(self) -> Ref:
        """The task if it is known, else the proposal: what the audit log names, the same on both sides."""
        return self.proposal.ref if self.task is None else self.task.ref

    @property
    def own(self) -> JointSide | None:
        """Our side, once it is known."""
        if self.task is not None:
            return self.task.sides[self.number]
        return self.proposal.proposer if self.number == 0 else None

    @property
    def peer(self) -> JointSide | None:
        """The peer's side, once it is known."""
        if self.task is not None:
            return self.task.sides[1 - self.number]
        return self.proposal.proposer if self.number == 1 else None
