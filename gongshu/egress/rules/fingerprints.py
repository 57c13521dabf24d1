"""Whose copy is this? Each buyer's copy of a released table has its rows in an order of its own, keyed by its contract.

No value is changed. Whether a leaked copy has the order of a contract is a test with a known answer for everybody else:
under another key the rows stand in random order. So what is reported is a probability, bounded for all contracts and all
ways of looking together; a copy that was sorted by one column still has the order within equal values of that column. The
order is gone only where somebody shuffled all rows, or sorted them until no two were alike.
"""

import hashlib
import hmac
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gongshu.base.decisions import Kind, rule
from gongshu.base.ids import ContractId
from gongshu.egress.types import PLACE_DIGITS, CopyEvidence, CopyMark, MatchedRows

KEY_CONTEXT = b"gongshu order of rows 1\n"
CONTRACT_ENTRY, SOURCE_ENTRY, SIGNATURE_ENTRY = "gongshu_contract", "gongshu_source", "gongshu_signature"
"""What the description of a copy says, by name."""
EXACT_ROWS_MAX = 80
"""Up to so many rows, every inversion of the order is counted; beyond, rows are compared in pairs."""
PAIRS_MAX = 4_000
"""More pairs than these tell nothing more: they bound the probability by 2^-4000 already."""

COPY_UNREADABLE = rule(
    "copy-unreadable", Kind.INVALID, zh="该文件不能作为表格读取（支持 CSV、Parquet、Excel）。",
    en="The file cannot be read as a table (CSV, Parquet or Excel).",
    fix_zh="请另存为 UTF-8 编码的 CSV 后重试，并保持各行的先后次序。",
    fix_en="Save it as CSV in UTF-8, rows in the order in which they stand, and try again.",
)  # fmt: skip


def mark_of(secret: bytes, artifact_sha256: str, contract: ContractId) -> CopyMark:
    """Return what makes the copy of a contract its own."""
    describes = (
        (CONTRACT_ENTRY, str(contract)), (SOURCE_ENTRY, artifact_sha256),
        (SIGNATURE_ENTRY, signature(secret, artifact_sha256, contract)),
    )  # fmt: skip
    return CopyMark(order_key(secret, artifact_sha256, contract), describes)


def order_key(secret: bytes, artifact_sha256: str, contract: ContractId) -> str:
    """Return the key of a contract's order of a released file, as 64 hexadecimal digits."""
    content = KEY_CONTEXT + f"{artifact_sha256}\n{contract}".encode()
    return hashlib.blake2b(content, key=secret, digest_size=32).hexdigest()


def place(key: str, row: int) -> str:
    """Return where the row at ``row`` (from 0) of the released file stands in the order of ``key``: rows are sorted by it."""
    return hashlib.sha256(f"{key}:{row}".encode()).hexdigest()[:PLACE_DIGITS]


def signature(secret: bytes, artifact_sha256: str, contract: ContractId) -> str:
    """Return what proves that the contract named in a file's description was written there by us."""
    content = b"gongshu description of a copy 1\n" + f"{artifact_sha256}\n{contract}".encode()
    return hashlib.blake2b(content, key=secret, digest_size=32).hexdigest()


@dataclass(frozen=True)
class View:
    """One way of looking at a copy: rows of the released file in the order of the copy, in groups that may not be mixed.

    ``column`` is empty when all rows are one group; else rows with the same value of it are.
    """

    column: str
    groups: tuple[tuple[int, ...], ...]

    @property
    def rows(self) -> int:
        """How many rows stand in a group with another one."""
        return sum(len(group) for group in self.groups)


def views_of(matched: MatchedRows) -> tuple[View, ...]:
    """Return the ways of looking at a copy: all rows as they stand, and within equal values of each column.

    The latter is what is left of the order when somebody sorted the rows by that column.
    """
    views = [View("", (matched.rows,))]
    for column, values in matched.values:
        groups: dict[int, list[int]] = {}
        for row, value in zip(matched.rows, values, strict=True):
            groups.setdefault(value, []).append(row)
        if 1 < len(groups) < len(matched.rows):
            views.append(View(column, tuple(tuple(group) for group in groups.values() if len(group) > 1)))
    return tuple(views)


def evidence_of(
    secret: bytes, artifact_sha256: str, contracts: Sequence[ContractId], matched: MatchedRows
) -> tuple[CopyEvidence, ...]:
    """Return for each contract the strongest evidence that a copy is its own, the strongest of all first.

    The bounds hold for all contracts and views together: their number is paid for (Bonferroni).
    """
    views, described = views_of(matched), dict(matched.described)
    tests = len(views) * len(contracts)
    found = []
    for contract in contracts:
        key = order_key(secret, artifact_sha256, contract)
        best = min((_evidence(key, contract, view, tests) for view in views), key=lambda one: one.log10_probability)
        signed = hmac.compare_digest(
            described.get(SIGNATURE_ENTRY, "").encode(), signature(secret, artifact_sha256, contract).encode()
        )
        found.append(replace(best, is_described=signed))
    return tuple(sorted(found, key=lambda one: (one.log10_probability, not one.is_described, one.contract)))


def _evidence(key: str, contract: ContractId, view: View, tests: int) -> CopyEvidence:
    if view.rows <= EXACT_ROWS_MAX:
        compared, agreeing, log10 = _by_inversions(key, view.groups)
    else:
        compared, agreeing, log10 = _by_pairs(key, view.groups)
    return CopyEvidence(contract, compared, agreeing, min(0.0, log10 + math.log10(max(1, tests))), view.column)


def _by_inversions(key: str, groups: Iterable[tuple[int, ...]]) -> tuple[int, int, float]:
    """Count every pair that stands against the order, and how probable so few are when the order is random, exactly."""
    inversions, compared, ways = 0, 0, [1]
    for group in groups:
        places = [place(key, row) for row in group]
        inversions += sum(later < earlier for i, earlier in enumerate(places) for later in places[i + 1 :])
        compared += len(group) * (len(group) - 1) // 2
        for size in range(2, len(group) + 1):
            ways = _times(ways, size)
    few = sum(ways[: inversions + 1])
    return compared, compared - inversions, math.log10(few) - math.log10(sum(ways))


def _times(ways: list[int], size: int) -> list[int]:
    """Return in how many orders there are 0, 1, 2 … inversions once a further row was put in one of ``size`` places."""
    running, made = 0, []
    for count in range(len(ways) + size - 1):
        running += ways[count] if count < len(ways) else 0
        running -= ways[count - size] if count >= size else 0
        made.append(running)
    return made


def _by_pairs(key: str, groups: Iterable[tuple[int, ...]]) -> tuple[int, int, float]:
    """Compare neighbours in pairs that share no row: each is a fair coin under another key (Chernoff's bound)."""
    pairs = [(group[i], group[i + 1]) for group in groups for i in range(0, len(group) - 1, 2)]
    step = max(1, len(pairs) // PAIRS_MAX)
    pairs = pairs[::step][:PAIRS_MAX]
    agreeing = sum(place(key, first) < place(key, second) for first, second in pairs)
    return len(pairs), agreeing, -len(pairs) * _divergence(agreeing / max(1, len(pairs))) / math.log(10)


def _divergence(share: float) -> float:
    """Return the divergence of a coin with ``share`` heads from a fair one, in nats; 0 for at most a half."""
    if share <= 0.5:
        return 0.0
    tails = 0.0 if share >= 1 else (1 - share) * math.log(2 * (1 - share))
    return share * math.log(2 * share) + tails
