"""Entries as bytes, and their limits."""

from datetime import UTC, datetime

import pytest

from gongshu.access.types import SYSTEM
from gongshu.audit.rules.entries import (
    ENTRY_TOO_LARGE,
    INDEXED_CHARS_MAX,
    decode,
    encode,
    entry_of,
    index_of,
    indexed,
    origins_of,
)
from gongshu.audit.rules.tiles import ENTRY_BYTES_MAX
from gongshu.audit.types import Outcome
from gongshu.base.decisions import NOT_FOUND, Denied, Permitted
from gongshu.base.digest import Ref

AT = datetime(2026, 3, 1, 8, 30, 0, 123456, tzinfo=UTC)
SUBJECT = Ref("grant", "grant-1", "d" * 64)


def made(decision=Permitted(None), *, origins=(), facts=None, subject=SUBJECT):  # noqa: B008 - a frozen value
    return entry_of(
        "entry-1", AT, SYSTEM, action="grant.issue", subject=subject, decision=decision, origins=origins, facts=facts or {}
    )  # fmt: skip


def denied(count, chars):
    return Denied(tuple(NOT_FOUND.because(kind="k", id=f"{number:06d}" + "x" * chars) for number in range(count)))


def test_a_permission_is_one_canonical_line_of_json():
    data = encode(made(origins=(Ref("plan", "plan-1", "e"),), facts={"columns": "3"})).value_or_raise()
    assert data == (
        b'{"action":"grant.issue","at":"2026-03-01T08:30:00.123456Z","facts":{"columns":"3"},"id":"entry-1",'
        b'"origins":[{"digest":"e","id":"plan-1","kind":"plan"}],"outcome":"permitted","party":"platform",'
        b'"person":"system","reasons":[],"subject":{"digest":"' + b"d" * 64 + b'","id":"grant-1","kind":"grant"}}'
    )
    assert decode(data) == made(origins=(Ref("plan", "plan-1", "e"),), facts={"columns": "3"})


def test_a_refusal_keeps_code_and_facts_of_every_reason_in_order():
    entry = made(denied(2, 0))
    assert entry.outcome is Outcome.DENIED
    assert [(reason.code, reason.facts["id"]) for reason in entry.reasons] == [
        ("not-found", "000000"),
        ("not-found", "000001"),
    ]


def test_searched_columns_are_those_of_the_entry():
    assert index_of(made()) == {
        "id": "entry-1", "at_ms": 1772353800123, "person": "system", "party": "platform", "action": "grant.issue",
        "subject_kind": "grant", "subject_id": "grant-1", "outcome": "permitted",
    }  # fmt: skip


def test_only_what_was_permitted_came_from_something():
    origins = (Ref("plan", "plan-1", "e"), Ref("plan", "plan-1", "f"), Ref("agreement", "plan-1", "e"))
    assert origins_of(made(origins=origins)) == (("agreement", "plan-1"), ("plan", "plan-1"))
    assert origins_of(made(denied(1, 0), origins=origins)) == ()
    assert origins_of(made()) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", "x"), ("", ""), ("x" * INDEXED_CHARS_MAX, "x" * INDEXED_CHARS_MAX),
        ("x" * 201, "x" * INDEXED_CHARS_MAX), ("a\0b", "a\ufffdb"),
    ],
)  # fmt: skip
def test_searched_names_are_cut_to_what_every_store_holds(text, expected):
    assert indexed(text) == expected


def test_long_facts_are_cut_only_when_the_entry_is_too_large():
    kept = decode(encode(made(denied(1, 5_000))).value_or_raise())
    assert len(kept.reasons[0].facts["id"]) == 5_006
    cut = decode(encode(made(denied(20, 5_000))).value_or_raise())
    assert {len(reason.facts["id"]) for reason in cut.reasons} == {201}
    assert cut.reasons[7].facts["id"].startswith("000007x")
    assert len(cut.reasons) == 20


def test_reasons_beyond_the_limit_are_counted():
    data = encode(made(denied(10_000, 0))).value_or_raise()
    assert len(data) <= ENTRY_BYTES_MAX
    *kept, last = decode(data).reasons
    assert last.code == "reasons-left-out"
    assert len(kept) + int(last.facts["count"]) == 10_000
    assert [reason.facts["id"] for reason in kept] == [f"{number:06d}" for number in range(len(kept))]


@pytest.mark.parametrize("decision", [Permitted(None), denied(3, 10)])
def test_an_entry_too_large_for_the_format_is_refused(decision):
    refused = encode(made(decision, facts={"names": "x" * ENTRY_BYTES_MAX}))
    assert isinstance(refused, Denied)
    assert [reason.rule for reason in refused.reasons] == [ENTRY_TOO_LARGE]
    assert refused.reasons[0].what.en.endswith("more than 65535; nothing was changed.")


def test_the_largest_entry_has_65535_bytes():
    room = ENTRY_BYTES_MAX - len(encode(made(facts={"names": ""})).value_or_raise())
    assert len(encode(made(facts={"names": "x" * room})).value_or_raise()) == ENTRY_BYTES_MAX
    assert isinstance(encode(made(facts={"names": "x" * (room + 1)})), Denied)
