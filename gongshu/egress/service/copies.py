"""Copies of released tables for their buyers, and whose copy a leaked file is. No transaction: files and one secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gongshu.base.decisions import Refused
from gongshu.base.ids import ContractId
from gongshu.base.site import Keys
from gongshu.egress.adapters import copies, files, leaks
from gongshu.egress.rules import fingerprints
from gongshu.egress.types import CopyEvidence, CopyMark, MatchedRows

SECRET = "fingerprint"  # noqa: S105 - the name of a secret
EXCEL_ROWS_MAX = copies.EXCEL_ROWS_MAX

write_copy = copies.write_copy
is_traceable = leaks.is_readable


@dataclass(frozen=True)
class ReleasedTable:
    """A released table: its digest and how many rows it has."""

    sha256: str
    rows: int


def released_table(path: Path) -> ReleasedTable:
    """Look at a released table."""
    return ReleasedTable(files.sha256_of(path), copies.count_rows(path))


def copy_mark(keys: Keys, artifact_sha256: str, contract: ContractId) -> CopyMark:
    """Return what makes the copy of ``contract`` its own."""
    return fingerprints.mark_of(keys.secret(SECRET), artifact_sha256, contract)


def match_rows(leaked: Path, released: Path) -> MatchedRows:
    """Find the rows of a leaked file in a released one; refused with ``copy-unreadable``."""
    try:
        return leaks.match_rows(leaked, released)
    except leaks.LeakUnreadable:
        raise Refused((fingerprints.COPY_UNREADABLE.because(),)) from None


def evidence_of(
    keys: Keys, artifact_sha256: str, contracts: Sequence[ContractId], matched: MatchedRows
) -> tuple[CopyEvidence, ...]:
    """Return how strongly a file looks like each contract's copy, the strongest first."""
    return fingerprints.evidence_of(keys.secret(SECRET), artifact_sha256, contracts, matched)
