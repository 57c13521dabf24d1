"""An entry as the bytes that are hashed and kept, within the limits of the format."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec

from gongshu.access.types import Actor
from gongshu.audit.rules.tiles import ENTRY_BYTES_MAX
from gongshu.audit.types import Entry, EntryReason, Outcome
from gongshu.base.decisions import Decision, Denied, Kind, Permitted, rule
from gongshu.base.digest import Ref, canonical_json

REASON_FACT_CHARS_MAX = 200
INDEXED_CHARS_MAX = 200
LEFT_OUT = "reasons-left-out"

ENTRY_TOO_LARGE = rule(
    "audit-entry-too-large", Kind.LIMIT_EXCEEDED,
    zh="审计记录有 {bytes} 字节，超过上限 {bytes_max} 字节；操作未生效。",
    en="The audit entry has {bytes} bytes, more than {bytes_max}; nothing was changed.",
    fix_zh="请分批办理，使每次涉及的对象少一些。", fix_en="Do it in several steps that name fewer objects each.",
    law="C2SP tlog-tiles",
)  # fmt: skip
CURSOR_INVALID = rule(
    "audit-cursor-invalid", Kind.INVALID, zh="分页游标不是上一页给出的值。", en="The cursor is not one that a page gave.",
    fix_zh="请使用上一页的 next_after，或从头开始。", fix_en="Use next_after of the page before, or start again.",
)  # fmt: skip
ENTRY_NOT_SEALED = rule(
    "audit-entry-not-sealed", Kind.CONFLICT, zh="审计记录 {id} 尚未写入检查点。",
    en="The audit entry {id} is not covered by a checkpoint yet.",
    fix_zh="几秒后再试，或运行 gongshu audit prove {id}。",
    fix_en="Try again in a few seconds, or run gongshu audit prove {id}.",
)  # fmt: skip
LOG_DAMAGED = rule(
    "audit-log-damaged", Kind.INTERNAL, zh="审计日志已损坏（{where}：{problem}），不再签发检查点。",
    en="The audit log is damaged ({where}: {problem}); no further checkpoint is signed.",
    fix_zh="请运行 gongshu audit fsck 查明。文件损坏时，"
    "留证后删除 audit/tile 目录或 audit/checkpoint，系统会据数据库重建；"
    "记录损坏时，从备份恢复数据库。",
    fix_en="Run gongshu audit fsck. If files are damaged, keep a copy and delete the folder audit/tile or the file "
    "audit/checkpoint: they are made again from the database. If entries are damaged, restore the database from a backup.",
    law="TC609-6-2025-13 §7.2.3",
)  # fmt: skip

_decoder = msgspec.json.Decoder(Entry)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def entry_of(
    entry_id: str,
    at: datetime,
    actor: Actor,
    *,
    action: str,
    subject: Ref,
    decision: Decision[object],
    origins: tuple[Ref, ...],
    facts: dict[str, str],
) -> Entry:
    """Return the entry of a decision: a refusal keeps every reason's code, names and numbers."""
    reasons = tuple(EntryReason(reason.code, dict(reason.facts)) for reason in decision.reasons)
    outcome = Outcome.DENIED if isinstance(decision, Denied) else Outcome.PERMITTED
    return Entry(entry_id, at, actor.person, actor.party, action, subject, outcome, reasons, origins, facts)


def encode(entry: Entry) -> Decision[bytes]:
    """Return the bytes of ``entry``. Long facts of reasons are cut, then the last reasons are left out, by count.

    An entry that is still larger than ``ENTRY_BYTES_MAX`` is refused: a decision that cannot be kept must not act.
    """
    data = canonical_json(entry)
    if len(data) <= ENTRY_BYTES_MAX:
        return Permitted(data)
    kept = tuple(EntryReason(reason.code, _short_facts(reason.facts)) for reason in entry.reasons)
    left_out = 0
    while True:
        note = (EntryReason(LEFT_OUT, {"count": str(left_out)}),) if left_out else ()
        data = canonical_json(replace(entry, reasons=kept + note))
        if len(data) <= ENTRY_BYTES_MAX:
            return Permitted(data)
        if not kept:
            return Denied((ENTRY_TOO_LARGE.because(bytes=len(data), bytes_max=ENTRY_BYTES_MAX),))
        half = len(kept) // 2
        kept, left_out = kept[:half], left_out + len(kept) - half


def _short_facts(facts: dict[str, str]) -> dict[str, str]:
    return {
        name: text if len(text) <= REASON_FACT_CHARS_MAX else text[:REASON_FACT_CHARS_MAX] + "…"
        for name, text in facts.items()
    }


def decode(data: bytes) -> Entry:
    """Return the entry in ``data``; ``ValueError`` (msgspec's are such) when it is none."""
    return _decoder.decode(data)


def index_of(entry: Entry) -> dict[str, str | int]:
    """Return the columns by which ``entry`` is found. Names from outside are cut to what every store can hold."""
    return {
        "id": entry.id,
        "at_ms": (entry.at - _EPOCH) // _MILLISECOND,
        "person": indexed(entry.person),
        "party": indexed(entry.party),
        "action": indexed(entry.action),
        "subject_kind": indexed(entry.subject.kind),
        "subject_id": indexed(entry.subject.id),
        "outcome": entry.outcome.value,
    }


def origins_of(entry: Entry) -> tuple[tuple[str, str], ...]:
    """Return kind and id of each object that the subject came from. Only what was permitted came from anything."""
    if not entry.origins or entry.outcome is not Outcome.PERMITTED:
        return ()
    return tuple(sorted({(indexed(origin.kind), indexed(origin.id)) for origin in entry.origins}))


def indexed(text: str) -> str:
    """Return ``text`` as it stands in a searched column: without NUL, which PostgreSQL cannot hold, and not too long."""
    if len(text) > INDEXED_CHARS_MAX or "\0" in text:
        return text[:INDEXED_CHARS_MAX].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text
