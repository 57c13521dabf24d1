"""What may be collected, and which counts belong to a period."""

from datetime import timedelta

from gongshu.base.days import Period, local_day
from gongshu.base.decisions import Decision, Kind, decide, rule
from gongshu.base.digest import Ref
from gongshu.base.ids import ContractId
from gongshu.metering.types import (
    CollectedCount,
    ContractTally,
    SegmentSeal,
    StoredRecord,
    UsageCount,
)

SEGMENT_CHANGED = rule(
    "segment-changed", Kind.CONFLICT, zh="用量段 {segment} 的文件与封存时的摘要不符。",
    en="The file of usage segment {segment} is not what was sealed.",
    fix_zh="请从备份恢复该文件，并按安全事件处理。",
    fix_en="Restore the file from a backup, and treat this as a security incident.",
    law="TC609-6-2025-16 §6.7",
)  # fmt: skip
SEGMENT_COUNT_WRONG = rule(
    "segment-count-wrong", Kind.CONFLICT, zh="用量段 {segment} 的封存计数与其记录不符。",
    en="The counts sealed for usage segment {segment} are not those of its records.",
    fix_zh="请停止该网关并核查其主机。", fix_en="Stop this gateway and examine its machine.",
    law="TC609-6-2025-16 §6.7",
)  # fmt: skip


def decide_collect(seal: SegmentSeal, *, sha256: str, recounted: tuple[ContractTally, ...]) -> Decision[SegmentSeal]:
    """A sealed segment is taken once its file has the sealed digest and its records give the sealed counts."""
    name = seal.segment.id
    return decide(
        seal,
        None if sha256 == seal.segment.sha256 else SEGMENT_CHANGED.because(segment=name),
        None if recounted == seal.tallies else SEGMENT_COUNT_WRONG.because(segment=name),
    )


def decide_reread(segment: Ref, sha256: str) -> Decision[Ref]:
    """What was collected is used again only if the file still has the digest in the log."""
    return decide(segment, None if sha256 == segment.digest else SEGMENT_CHANGED.because(segment=segment.id))


def contracts_of(seal: SegmentSeal) -> tuple[Ref, ...]:
    """Return the contracts that appear in a segment, as they were signed."""
    named = {Ref("contract", tally.contract, tally.contract_digest) for tally in seal.tallies if tally.contract}
    return tuple(sorted(named, key=lambda ref: (ref.id, ref.digest)))


def counts_of(seal: SegmentSeal) -> tuple[CollectedCount, ...]:
    """Return what the control database keeps of a segment: counts by contract and result, nothing else."""
    found: dict[ContractId, CollectedCount] = {}
    for tally in seal.tallies:
        count = CollectedCount(
            usage=UsageCount(tally.contract, seal.segment.ref, tally.charged, tally.by_result),
            month=seal.month, first_at=tally.first_at, last_at=tally.last_at,
        )  # fmt: skip
        before = found.get(tally.contract)
        found[tally.contract] = count if before is None else _together(before, count)
    return tuple(found.values())


def _together(one: CollectedCount, other: CollectedCount) -> CollectedCount:
    results = sorted({*one.usage.by_result, *other.usage.by_result})
    by_result = {name: one.usage.by_result.get(name, 0) + other.usage.by_result.get(name, 0) for name in results}
    return CollectedCount(
        usage=UsageCount(
            one.usage.contract, one.usage.segment, one.usage.charged + other.usage.charged, by_result
        ),
        month=one.month, first_at=min(one.first_at, other.first_at), last_at=max(one.last_at, other.last_at),
    )  # fmt: skip


def months_of(period: Period) -> tuple[str, ...]:
    """Return the months of China time that ``period`` touches: ``2026-11``, …"""
    day, last = local_day(period.start).replace(day=1), local_day(period.end - timedelta(microseconds=1))
    found = []
    while day <= last:
        found.append(day.isoformat()[:7])
        day = (day + timedelta(days=31)).replace(day=1)
    return tuple(found)


def lies_in(count: CollectedCount, period: Period) -> bool:
    """Whether every record of ``count`` lies in ``period``, so that the count is exact for it."""
    return period.holds(count.first_at) and period.holds(count.last_at)


def touches(count: CollectedCount, period: Period) -> bool:
    """Whether a record of ``count`` may lie in ``period``."""
    return count.first_at < period.end and period.start <= count.last_at


def count_records(contract: ContractId, segment: Ref, records: tuple[StoredRecord, ...]) -> UsageCount:
    """Count records of one contract."""
    by_result: dict[str, int] = {}
    for record in records:
        by_result[record.result.value] = by_result.get(record.result.value, 0) + 1
    return UsageCount(contract, segment, sum(record.is_charged for record in records), dict(sorted(by_result.items())))
