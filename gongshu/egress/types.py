"""Outputs, findings, votes, releases."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import JobId, OutputId, PartyId, PersonId, ReleaseId
from gongshu.compute.types import OutputFile


class OutputStatus(StrEnum):
    """An output in quarantine. Owned in turn by system, author, reviewers."""

    QUARANTINED = "quarantined"  # checks have run; not yet submitted for review
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    RELEASED = "released"
    REJECTED = "rejected"
    VOID = "void"  # a byte changed after it was frozen


class ReviewKind(StrEnum):
    """The two separate reviews (27号 art.14(三))."""

    SECURITY = "security"  # 安全审核
    CONFORMITY = "conformity"  # 业务规范性审核


class CheckVerdict(StrEnum):
    """What a machine found (ACRO's words)."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    REVIEW = "review"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One automatic check of an output: which, of what column or file, how it ended; counts only."""

    check: str
    target: str
    verdict: CheckVerdict
    facts: dict[str, str]


@dataclass(frozen=True)
class Vote:
    """One reviewer's decision, bound to the digest that was looked at."""

    kind: ReviewKind
    reviewer: PersonId
    party: PartyId
    approves: bool
    reason: str
    output_digest: str
    at: datetime


@dataclass(frozen=True)
class Output:
    """Frozen files of a job, awaiting or having passed review."""

    id: OutputId
    job: Ref
    job_id: JobId
    author: PersonId
    author_party: PartyId
    files: tuple[OutputFile, ...]
    context: str
    status: OutputStatus
    findings: tuple[Finding, ...]
    created_at: datetime
    votes: tuple[Vote, ...] = ()

    @property
    def digest(self) -> str:
        """The digest of the files: what reviewers vote on."""
        return digest_of(self.files)

    @property
    def ref(self) -> Ref:
        """This output, bound to its files."""
        return Ref("output", self.id, self.digest)


@dataclass(frozen=True)
class Release:
    """Permission for exactly these bytes to leave, with the two reviews it rests on."""

    id: ReleaseId
    output: Ref
    job: Ref
    entitlement: Ref
    files: tuple[OutputFile, ...]
    votes: tuple[Vote, ...]
    released_by: PersonId
    released_at: datetime

    @property
    def ref(self) -> Ref:
        """This release, bound to its files and votes."""
        return Ref("release", self.id, digest_of((self.output, self.files, self.votes)))
