"""What may be collected, and which counts belong to a period."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gongshu.base.days import Period
from gongshu.base.decisions import Denied, Permitted
from gongshu.base.digest import Ref
from gongshu.base.ids import ContractId, KeyId, ProductId
from gongshu.metering import rules
from gongshu.metering.types import ContractTally, ResultCode, SealedSegment, SegmentSeal, StoredRecord


def at(day: int, hour: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def tally(contract: str = "contract-1", digest: str = "d", **changes: object) -> ContractTally:
    plain = ContractTally(ContractId(contract), digest, 2, {"match": 2, "refused": 1}, {"2026-11-05": 2}, at(5), at(6))
    return replace(plain, **changes)


def seal_of(*tallies: ContractTally) -> SegmentSeal:
    segment = SealedSegment("g1-202611-00000001", "g1", "aa", 3, at(5), at(6), at(7))
    return SegmentSeal(segment, "2026-11", 400, tallies)


@pytest.mark.parametrize(
    ("sha256", "recounted", "codes"),
    [
        ("aa", (tally(),), ()),
        ("bb", (tally(),), ("segment-changed",)),
        ("aa", (tally(charged=3),), ("segment-count-wrong",)),
        ("bb", (), ("segment-changed", "segment-count-wrong")),
    ],
)
def test_a_segment_is_collected_only_as_it_was_sealed(sha256, recounted, codes):
    decision = rules.decide_collect(seal_of(tally()), sha256=sha256, recounted=recounted)
    assert tuple(reason.code for reason in decision.reasons) == codes
    assert isinstance(decision, Denied if codes else Permitted)


def test_a_collected_segment_is_used_again_only_with_the_digest_in_the_log():
    segment = Ref("segment", "g1-202611-00000001", "aa")
    assert isinstance(rules.decide_reread(segment, "aa"), Permitted)
    assert [reason.code for reason in rules.decide_reread(segment, "ab").reasons] == ["segment-changed"]


def test_the_contracts_of_a_segment_are_named_as_they_were_signed():
    seal = seal_of(tally("contract-2"), tally("contract-1", "e"), tally("contract-1", "d"), tally(""))
    assert [(ref.id, ref.digest) for ref in rules.contracts_of(seal)] == [
        ("contract-1", "d"), ("contract-1", "e"), ("contract-2", "d"),
    ]  # fmt: skip


def test_counts_of_one_contract_are_added_up_also_under_two_digests():
    other = tally("contract-1", "e", charged=1, by_result={"mismatch": 1}, first_at=at(1), last_at=at(9))
    (count,) = rules.counts_of(seal_of(tally(), other))
    assert count.usage.charged == 3
    assert count.usage.by_result == {"match": 2, "mismatch": 1, "refused": 1}
    assert (count.first_at, count.last_at) == (at(1), at(9))
    assert count.id == "g1-202611-00000001/contract-1"


@pytest.mark.parametrize(
    ("start", "end", "months"),
    [
        # China is eight hours ahead: the month begins at 16:00 UTC of the day before.
        (at(31, 16, 10), at(30, 16), ("2026-11",)),
        (at(31, 15, 10), at(30, 16), ("2026-10", "2026-11")),
        (at(31, 16, 10), at(30, 17), ("2026-11", "2026-12")),
        (datetime(2025, 12, 31, 16, tzinfo=UTC), datetime(2026, 2, 28, 16, tzinfo=UTC), ("2026-01", "2026-02")),
    ],
)
def test_a_period_touches_the_months_of_china_time(start, end, months):
    assert rules.months_of(Period(start, end)) == months


@pytest.mark.parametrize(
    ("start", "end", "lies_in", "touches"),
    [
        (at(5), at(7), True, True),
        (at(5), at(6), False, True),  # the last record is at the end, which is not in the period
        (at(6), at(7), False, True),
        (at(7), at(8), False, False),
        (at(1), at(5), False, False),
    ],
)
def test_a_count_is_exact_when_every_record_lies_in_the_period(start, end, lies_in, touches):
    (count,) = rules.counts_of(seal_of(tally()))
    assert rules.lies_in(count, Period(start, end)) is lies_in
    assert rules.touches(count, Period(start, end)) is touches


def test_records_are_counted_by_result_and_charge():
    def record(result: ResultCode, *, is_charged: bool) -> StoredRecord:
        return StoredRecord(at(1), "r", "", ContractId("c"), "d", ProductId("p"), KeyId("k"), 1, result, "", is_charged)

    records = (
        record(ResultCode.MATCH, is_charged=True), record(ResultCode.NO_RECORD, is_charged=False),
        record(ResultCode.MATCH, is_charged=True),
    )  # fmt: skip
    count = rules.count_records(ContractId("c"), Ref("segment", "s", "x"), records)
    assert (count.charged, count.by_result) == (2, {"match": 2, "no_record": 1})
