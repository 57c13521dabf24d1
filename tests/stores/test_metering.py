"""Collecting sealed usage, on both stores: every segment once, counts only, and nothing that was tampered with."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gongshu.access.types import SYSTEM, Actor, Role
from gongshu.audit import service as audit
from gongshu.base.days import Period
from gongshu.base.decisions import Refused
from gongshu.base.ids import ContractId, KeyId, PartyId, PersonId, ProductId
from gongshu.base.paging import PageRequest
from gongshu.base.site import Site
from gongshu.metering import service as metering
from gongshu.metering import store
from gongshu.metering.types import ResultCode, StoredRecord

AUDITOR = Actor(PersonId("person-auditor"), PartyId("party-auditor"), frozenset({Role.AUDITOR}))
BANK, SHOP = ContractId("contract-bank"), ContractId("contract-shop")
NOON = datetime(2026, 11, 20, 4, tzinfo=UTC)
NOVEMBER = Period(datetime(2026, 10, 31, 16, tzinfo=UTC), datetime(2026, 11, 30, 16, tzinfo=UTC))


def write(
    site: Site, calls: list[tuple[ContractId, ResultCode, datetime]], gateway: str = "g1", start: int = 0
) -> list[str]:
    """Record calls and seal them."""
    positions: list[str] = []

    async def work() -> None:
        meter = metering.open_meter(site.home, gateway, lambda: NOON)
        for index, (contract, result, at) in enumerate(calls, start):
            is_charged = result in {ResultCode.MATCH, ResultCode.MISMATCH}
            position, durable = meter.append(
                StoredRecord(
                    at, f"r{index}", "d", contract, f"terms-{contract}", ProductId("p"), KeyId("k"), 1, result, "",
                    is_charged,
                )
            )  # fmt: skip
            assert not await durable
            positions.append(position)
        await meter.close()

    asyncio.run(work())
    return positions


CALLS = [
    (BANK, ResultCode.MATCH, NOON), (SHOP, ResultCode.MATCH, NOON), (BANK, ResultCode.NO_RECORD, NOON),
    (BANK, ResultCode.REFUSED, NOON + timedelta(hours=1)), (BANK, ResultCode.MISMATCH, NOON + timedelta(days=11)),
]  # fmt: skip


def segment_entries(site: Site) -> list:
    return list(audit.list_entries(site, AUDITOR, PageRequest(), action="segment.seal").rows)


def test_each_sealed_segment_is_collected_once_and_bound_into_the_log(site):
    write(site, CALLS)
    collected = metering.collect(site)
    assert [segment.id for segment in collected] == ["g1-202611-00000001", "g1-202612-00000002"]
    assert metering.collect(site) == ()
    entries = segment_entries(site)
    assert {entry.subject for entry in entries} == {segment.ref for segment in collected}
    assert all((entry.person, entry.outcome) == (SYSTEM.person, "permitted") for entry in entries)
    november = next(entry for entry in entries if entry.subject.id == "g1-202611-00000001")
    assert [(origin.id, origin.digest) for origin in november.origins] == [
        (BANK, f"terms-{BANK}"), (SHOP, f"terms-{SHOP}"),
    ]  # fmt: skip
    assert november.facts["records"] == "4"
    with site.db.reading() as tx:
        documents = [row[0] for table in (store.SEGMENTS, store.COUNTS) for row in tx.execute(table.table.select())]
    assert documents
    assert not any("r0" in document for document in documents)  # counts only


def test_a_month_is_counted_exactly_and_so_is_any_other_period(site):
    write(site, CALLS)
    metering.collect(site)
    (count,) = metering.usage_of(site, BANK, NOVEMBER)
    assert (count.charged, count.by_result) == (1, {"match": 1, "no_record": 1, "refused": 1})
    (first_hour,) = metering.usage_of(site, BANK, Period(NOON, NOON + timedelta(minutes=59)))
    assert (first_hour.charged, first_hour.by_result) == (1, {"match": 1, "no_record": 1})
    whole = metering.usage_of(site, BANK, Period(NOVEMBER.start, NOVEMBER.end + timedelta(days=31)))
    assert [sum(part.by_result.values()) for part in whole] == [3, 1]
    assert metering.usage_of(site, ContractId("contract-nobody"), NOVEMBER) == ()


def test_several_gateways_are_collected_side_by_side(site):
    write(site, CALLS[:1])
    write(site, CALLS[:2], gateway="g2", start=10)
    assert [segment.gateway for segment in metering.collect(site)] == ["g1", "g2"]
    assert sum(count.charged for count in metering.usage_of(site, BANK, NOVEMBER)) == 2


def only_file(site: Site, pattern: str) -> Path:
    (path,) = (site.home / "usage" / "g1").glob(pattern)
    return path


def test_a_segment_changed_before_it_is_collected_is_refused_and_reported_once(site):
    write(site, CALLS[:3])
    path = only_file(site, "*.segment")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert metering.collect(site) == ()
    assert metering.collect(site) == ()
    (entry,) = segment_entries(site)
    assert entry.outcome == "denied"
    assert {reason.code for reason in entry.reasons} == {"segment-changed", "segment-count-wrong"}
    assert metering.usage_of(site, BANK, NOVEMBER) == ()


def test_a_segment_changed_after_it_was_collected_is_used_no_more(site):
    write(site, CALLS[:3])
    metering.collect(site)
    path = only_file(site, "*.segment")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"mismatch", b"no_record").replace(b"r0", b"r9"))
    with pytest.raises(Refused, match="segment-changed"):
        metering.usage_of(site, BANK, NOVEMBER)


def test_a_cut_after_a_crash_stands_in_the_log(site):
    write(site, CALLS[:2])
    only_file(site, "*.seal.json").unlink()  # as if the process had ended before sealing …
    path = only_file(site, "*.segment")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-5])  # … in the middle of a record
    write(site, CALLS[2:3], start=9)
    metering.collect(site)
    cut = next(entry for entry in segment_entries(site) if entry.subject.id == "g1-202611-00000001")
    assert int(cut.facts["cut_bytes"]) > 0
    assert cut.facts["records"] == "1"
    assert sum(sum(count.by_result.values()) for count in metering.usage_of(site, BANK, NOVEMBER)) == 2


def test_a_record_is_found_by_its_position_sealed_or_not(site):
    positions = write(site, CALLS)
    found = metering.find_record(site, positions[2])
    assert (found.position, found.contract, found.result) == (positions[2], BANK, ResultCode.NO_RECORD)
    assert metering.segment_of(site, positions[2]) is None
    metering.collect(site)
    assert metering.segment_of(site, positions[2]).ref == segment_entries(site)[-1].subject


@pytest.mark.parametrize(
    "position",
    [
        "", "g1-202611-00000001", "g1-202611-00000001:", "g1-202611-00000001:1", "g1-202611-00000001:0",
        "g1-202611-00000009:100", "../../keys:5", "g1-202611-00000001:99999999999999999999", "g1-202611-00000001:-5",
    ],
)  # fmt: skip
def test_a_position_that_is_none_finds_nothing(sqlite_site, position):
    write(sqlite_site, CALLS[:1])
    assert metering.find_record(sqlite_site, position) is None


def test_records_are_listed_newest_first_page_by_page(sqlite_site):
    write(sqlite_site, CALLS)
    write(sqlite_site, [(BANK, ResultCode.MATCH, NOON + timedelta(days=12))] * 3, start=10)
    seen, after = [], ""
    while True:
        page = metering.list_records(sqlite_site, BANK, PageRequest(limit=2, after=after))
        seen += [record.request_id for record in page.rows]
        after = page.next_after
        if not after:
            break
    assert seen == ["r12", "r11", "r10", "r4", "r3", "r2", "r0"]


def test_segments_that_still_wait_are_named_by_month(sqlite_site):
    write(sqlite_site, CALLS)
    assert metering.open_segments(sqlite_site, "2026-11") == ("g1-202611-00000001",)
    metering.collect(sqlite_site)
    assert metering.open_segments(sqlite_site, "2026-11") == ()


def test_what_is_not_collected_yet_is_counted_apart_and_never_twice(sqlite_site):
    write(sqlite_site, CALLS)
    waiting = metering.unsealed_use(sqlite_site, BANK)
    assert [count.by_result for count in waiting] == [{"match": 1, "no_record": 1, "refused": 1}, {"mismatch": 1}]
    assert [count.charged for count in waiting] == [1, 1]
    metering.collect(sqlite_site)
    assert metering.unsealed_use(sqlite_site, BANK) == ()
