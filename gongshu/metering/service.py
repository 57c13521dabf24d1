"""What metering offers: the meter of a gateway, and what was metered, once it is sealed.

The usage files hold who called what and when, and the class of the result; never what was asked.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

from gongshu.access.types import SYSTEM
from gongshu.audit import service as audit
from gongshu.base.days import Period
from gongshu.base.decisions import Decision, Denied, Permitted
from gongshu.base.digest import Ref
from gongshu.base.ids import ContractId
from gongshu.base.paging import PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Clock, Site, Transaction
from gongshu.metering import rules, store
from gongshu.metering.adapters import cluster, leaving, segments, tables
from gongshu.metering.adapters.disk import LOCAL_DISK, Disk, write_durably
from gongshu.metering.adapters.frames import as_record
from gongshu.metering.adapters.leaving import StillRunning
from gongshu.metering.adapters.meter import Earlier, Meter, MeterLimits, MeterLocked
from gongshu.metering.adapters.tables import SpanCount
from gongshu.metering.adapters.window import request_key
from gongshu.metering.types import (
    CollectedCount,
    HandedRecord,
    HandedUse,
    ResultCode,
    SealedSegment,
    SegmentFault,
    SegmentSeal,
    UsageCount,
    UsageRecord,
    UsageTable,
)

log = logging.getLogger("gongshu.metering")

find_spark_python = cluster.find_python

__all__ = [
    "LOCAL_DISK",
    "Disk",
    "Earlier",
    "Meter",
    "MeterLimits",
    "MeterLocked",
    "SpanCount",
    "StillRunning",
    "collect",
    "count_spans",
    "find_record",
    "find_spark_python",
    "gateway_folders",
    "is_gateway_name",
    "last_segment_of",
    "left_behind",
    "list_records",
    "open_meter",
    "open_segments",
    "request_key",
    "results_in",
    "sealed_after",
    "segment_of",
    "segments_by_contract",
    "settle",
    "take_in",
    "unsealed_use",
    "usage_folder",
    "usage_of",
]


SENT_AT_ONCE = 8


def usage_folder(home: Path, gateway: str) -> Path:
    """Return where the segments of a gateway lie."""
    return home / "usage" / gateway


def open_meter(
    home: Path, gateway: str, clock: Clock, limits: MeterLimits | None = None, *,
    monotonic: Callable[[], float] = time.monotonic, disk: Disk = LOCAL_DISK,
) -> Meter:  # fmt: skip
    """Open the meter of a gateway: seals what a crash left, rebuilds counts and request ids from the segments.

    ``MeterLocked`` when another process has it. Months end by ``clock``, in China time; spans are measured by ``monotonic``.
    """
    return Meter(usage_folder(home, gateway), gateway, clock, limits or MeterLimits(), monotonic=monotonic, disk=disk)


def _folders(site: Site) -> list[Path]:
    root = site.home / "usage"
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


# ------------------------------------------------------------------------------------------------- several gateways


def is_gateway_name(name: str) -> bool:
    """Whether a gateway may be called so."""
    return segments.GATEWAY_NAME.fullmatch(name) is not None


def gateway_folders(home: Path) -> tuple[str, ...]:
    """Return the names of all gateways that usage of lies under ``home``."""
    root = home / "usage"
    return tuple(sorted(path.name for path in root.iterdir() if path.is_dir())) if root.is_dir() else ()


def last_segment_of(home: Path, gateway: str) -> int:
    """Return the highest number of a sealed segment of a gateway that lies under ``home``; 0 when there is none."""
    sealed = segments.segment_ids(usage_folder(home, gateway), ".seal.json")
    return segments.number_of(sealed[-1]) if sealed else 0


def settle(home: Path, gateway: str, clock: Clock) -> bool:
    """Seal what a gateway left open whose process has ended; ``StillRunning`` when it has not.

    Returns whether all that it recorded lies here: not so where only its collected segments are.
    """
    folder = usage_folder(home, gateway)
    leaving.settle(folder, clock)
    return leaving.is_own_folder(folder)


def left_behind(
    home: Path, gateway: str, is_wanted: Callable[[str], bool]
) -> tuple[tuple[HandedUse, ...], tuple[HandedRecord, ...]]:
    """Return what a gateway that serves no more counted of the contracts that are wanted, and its recent records of them."""
    return leaving.left_behind(usage_folder(home, gateway), MeterLimits().window_seconds, is_wanted)


def sealed_after(home: Path, gateway: str, number: int) -> tuple[tuple[str, bytes, bytes], ...]:
    """Return the next few sealed segments of a gateway after ``number``: id, records, seal."""
    folder = usage_folder(home, gateway)
    waiting = [name for name in segments.segment_ids(folder, ".seal.json") if segments.number_of(name) > number]
    return tuple(
        (name, segments.read_segment(folder, name), segments.seal_path(folder, name).read_bytes())
        for name in waiting[:SENT_AT_ONCE]
    )


def take_in(home: Path, gateway: str, segment: str, data: bytes, seal_data: bytes) -> bool:
    """Keep a sealed segment that a gateway elsewhere has sent, to be collected; whether it is one of that gateway's.

    A segment is kept once: what is here already is not written again.
    """
    matched = segments.SEGMENT_ID.fullmatch(segment)
    seal = segments.seal_in(seal_data)
    if matched is None or matched["gateway"] != gateway or seal is None or seal.segment.id != segment:
        return False
    sha256, tally, is_whole = segments.recount(data)
    if not is_whole or isinstance(rules.decide_collect(seal, sha256=sha256, recounted=tally.contracts()), Denied):
        return False
    folder = usage_folder(home, gateway)
    folder.mkdir(parents=True, exist_ok=True)
    if not segments.seal_path(folder, segment).exists():
        write_durably(LOCAL_DISK, segments.segment_path(folder, segment), data)
        segments.write_seal(folder, seal, LOCAL_DISK)
    return True


# ------------------------------------------------------------------------------------------------------- collecting


def collect(site: Site) -> tuple[SealedSegment, ...]:
    """Take every sealed segment into the control database and the audit log, exactly once; returns the new ones.

    Each file is read again: a segment whose digest or counts are not those sealed is refused, and that is logged once.
    """
    collected = []
    for folder in _folders(site):
        with site.db.reading() as tx:
            known = store.collected_ids(tx, folder.name)
        for identifier in segments.segment_ids(folder, ".seal.json"):
            if identifier not in known and (seal := segments.read_seal(folder, identifier)) is not None:
                taken = _collect(site, folder, seal)
                collected += [seal.segment] if taken else []
    return tuple(collected)


def _collect(site: Site, folder: Path, seal: SegmentSeal) -> bool:
    data = segments.read_segment(folder, seal.segment.id)
    sha256, tally, _ = segments.recount(data)
    decision = rules.decide_collect(seal, sha256=sha256, recounted=tally.contracts())
    table = tables.write_table(folder, seal.segment.id, data) if isinstance(decision, Permitted) else ""
    with site.db.transaction() as tx:
        if store.SEGMENTS.find(tx, seal.segment.id) is not None:
            return False  # another process was faster
        if isinstance(decision, Denied):
            fault = SegmentFault(seal.segment.id, sha256, site.now())
            if store.FAULTS.find(tx, fault.id) is not None:
                return False
            store.FAULTS.add(tx, fault)
        else:
            store.SEGMENTS.add(tx, seal.segment)
            store.TABLES.add(tx, UsageTable(seal.segment.id, table, seal.month))
            for count in rules.counts_of(seal):
                store.COUNTS.add(tx, count)
        facts = {"records": str(seal.segment.records), "month": seal.month}
        facts |= {"table_sha256": table} if table else {}
        if seal.cut is not None:
            facts |= {"cut_offset": str(seal.cut.offset), "cut_bytes": str(seal.cut.bytes)}
        audit.record(
            tx, site, actor=SYSTEM, action="segment.seal", subject=seal.segment.ref, decision=decision,
            origins=rules.contracts_of(seal), facts=facts,
        )  # fmt: skip
    return isinstance(decision, Permitted)


# ---------------------------------------------------------------------------------------------------------- reading


def _folder_of(site: Site, segment: str) -> Path | None:
    """Return the folder of a segment id, or ``None`` when it is no such id."""
    matched = segments.SEGMENT_ID.fullmatch(segment)
    return None if matched is None else usage_folder(site.home, matched["gateway"])


def _reread(site: Site, segment: Ref) -> Decision[Ref]:
    folder = _folder_of(site, segment.id)
    sha256 = segments.sha256_of_file(segments.segment_path(folder, segment.id)) if folder else ""
    return rules.decide_reread(segment, sha256)


def usage_of(site: Site, contract_id: ContractId, period: Period) -> tuple[UsageCount, ...]:
    """Return the counts of a contract in ``period``, one per collected segment; exact for any period.

    Each segment's file is read again and refused with ``segment-changed`` when it is not what was sealed.
    """
    with site.db.reading() as tx:
        found = store.COUNTS.all(tx, contract=contract_id, month=rules.months_of(period))
    counts = []
    for count in found:
        if rules.touches(count, period):
            _reread(site, count.usage.segment).value_or_raise()
            usage = count.usage if rules.lies_in(count, period) else _recounted(site, count, period)
            counts += [usage] if sum(usage.by_result.values()) else []
    return tuple(counts)


def unsealed_use(site: Site, contract_id: ContractId) -> tuple[UsageCount, ...]:
    """Return the counts of a contract in segments that are not collected yet: how things stand now, to look at.

    Bills rest on collected segments alone; the digests of these are empty.
    """
    counts = []
    for folder in _folders(site):
        with site.db.reading() as tx:
            known = store.collected_ids(tx, folder.name)
        for name in segments.segment_ids(folder, ".segment"):
            if name not in known:
                stored = segments.stored_records(segments.read_segment(folder, name))
                found = tuple(record for _, record in stored if record.contract == contract_id)
                counts += [rules.count_records(contract_id, Ref("segment", name, ""), found)] if found else []
    return tuple(counts)


def _recounted(site: Site, count: CollectedCount, period: Period) -> UsageCount:
    contract, segment = count.usage.contract, count.usage.segment
    data = segments.read_segment(usage_folder(site.home, segment.id.split("-")[0]), segment.id)
    within = (
        stored for _, stored in segments.stored_records(data) if stored.contract == contract and period.holds(stored.at)
    )
    return rules.count_records(contract, segment, tuple(within))


def count_spans(
    site: Site, bounds: tuple[datetime, ...], contract_id: ContractId | None = None
) -> tuple[SpanCount, ...]:
    """Count collected records between ``bounds`` (*n + 1* make *n* spans) by contract, span, result and charge.

    One pass over the tables of the months touched: by the engine here, or by the Spark cluster where there is one and they are many.
    Each table is hashed again first and refused with
    ``segment-changed`` when it is not what was collected. With ``contract_id``, of that contract and from its segments alone.
    """
    months = rules.months_of(Period(bounds[0], bounds[-1]))
    with site.db.reading() as tx:
        known = store.TABLES.all(tx, month=months)
        if contract_id is not None:
            own = {count.usage.segment.id for count in store.COUNTS.all(tx, contract=contract_id, month=months)}
            known = tuple(table for table in known if table.id in own)
    paths = []
    for table in known:
        path = tables.table_path(usage_folder(site.home, table.id.split("-")[0]), table.id)
        rules.decide_reread(Ref("segment", table.id, table.sha256), segments.sha256_of_file(path)).value_or_raise()
        paths.append(path)
    python = cluster.find_python() if site.spark is not None and _is_much(site, paths) else None
    if site.spark is None or python is None:
        return tables.count_spans(paths, bounds, contract_id or "")
    try:
        return cluster.count_spans(site.spark, python, paths, bounds, contract_id or "")
    except cluster.ClusterFailed as failed:  # the same counts, only later
        log.warning("the Spark cluster did not count usage (%s); it is counted here", failed)
        return tables.count_spans(paths, bounds, contract_id or "")


def _is_much(site: Site, paths: list[Path]) -> bool:
    """Whether tables are more than one machine should read while a cluster is there."""
    bytes_min = site.parameters.number("metering.cluster_bytes_min", site.today())
    return sum(path.stat().st_size for path in paths) >= bytes_min


def segments_by_contract(site: Site, period: Period) -> dict[ContractId, tuple[Ref, ...]]:
    """Return, for each contract, the collected segments that may hold records of it in ``period``, by id."""
    with site.db.reading() as tx:
        found = store.COUNTS.all(tx, month=rules.months_of(period))
    by_contract: dict[ContractId, list[Ref]] = {}
    for count in found:
        if rules.touches(count, period):
            by_contract.setdefault(count.usage.contract, []).append(count.usage.segment)
    return {contract: tuple(sorted(refs, key=lambda ref: ref.id)) for contract, refs in by_contract.items()}


def results_in(tx: Transaction, month: str) -> dict[ContractId, dict[ResultCode, int]]:
    """Return how many calls of a month of China time (``2026-11``) had which result, by contract, as far as collected."""
    found: dict[ContractId, dict[ResultCode, int]] = {}
    for count in store.COUNTS.all(tx, month=month):
        results = found.setdefault(count.usage.contract, {})
        for name, number in count.usage.by_result.items():
            results[ResultCode(name)] = results.get(ResultCode(name), 0) + number
    return found


def open_segments(site: Site, month: str) -> tuple[str, ...]:
    """Return the segments of a month of China time (``2026-11``) that are not collected yet: its counts may grow."""
    waiting: list[str] = []
    for folder in _folders(site):
        with site.db.reading() as tx:
            known = store.collected_ids(tx, folder.name)
        named = segments.segment_ids(folder, ".segment")
        waiting += [name for name in named if name not in known and segments.header_named(name).month == month]
    return tuple(waiting)


def find_record(site: Site, position: str) -> UsageRecord | None:
    """Return the record at ``position`` (``<segment>:<offset>``), sealed or not, or ``None`` when there is none."""
    segment, _, offset = position.partition(":")
    folder = _folder_of(site, segment)
    if folder is None or not (offset.isascii() and offset.isdigit()) or len(offset) > len(str(1 << 40)):
        return None
    return segments.record_at(folder, segment, int(offset))


def segment_of(site: Site, position: str) -> SealedSegment | None:
    """Return the collected segment that a position lies in, or ``None`` while it is not collected."""
    with site.db.reading() as tx:
        return store.SEGMENTS.find(tx, position.partition(":")[0])


def list_records(site: Site, contract_id: ContractId, page: PageRequest) -> Page[UsageRecord]:
    """Return records of a contract, newest first within each gateway; the cursor is a position.

    The room above asks whether the actor may see this contract (``delivery.service.list_calls``).
    """
    limit = max(1, min(page.limit, PAGE_ROWS_MAX))
    found = tuple(islice(_newest_first(site, contract_id, page.after, limit + 1), limit + 1))
    return Page(found[:limit], next_after=found[limit - 1].position if len(found) > limit else "")


def _newest_first(site: Site, contract: ContractId, after: str, wanted: int) -> Iterator[UsageRecord]:
    """Yield records of a contract backwards, segment by segment; at most ``wanted`` are held of each."""
    segment, _, last = after.partition(":")
    matched = segments.SEGMENT_ID.fullmatch(segment)
    start = (matched["gateway"], int(matched["number"])) if matched else None
    for folder in reversed(_folders(site)):
        for identifier in reversed(segments.segment_ids(folder, ".segment")):
            place = (folder.name, segments.number_of(identifier))
            if start is not None and place > start:
                continue
            end = int(last) if place == start and last.isdecimal() else None
            newest: deque[UsageRecord] = deque(maxlen=wanted)
            for offset, stored in segments.stored_records(segments.read_segment(folder, identifier)):
                if end is not None and offset >= end:
                    break
                if stored.contract == contract:
                    newest.append(as_record(stored, f"{identifier}:{offset}"))
            yield from reversed(newest)
