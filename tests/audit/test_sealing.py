"""Entries become tiles and checkpoints, whatever happens on the way."""

import multiprocessing
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gongshu.access.types import SYSTEM, Actor, Role
from gongshu.audit import adapters
from gongshu.audit import service as audit
from gongshu.audit.rules import merkle, notes, tiles
from gongshu.audit.rules.entries import decode
from gongshu.base.decisions import NOT_FOUND, Denied, Permitted, Refused
from gongshu.base.digest import Ref
from gongshu.base.paging import PageRequest
from gongshu.server.wiring import make_site

AUDITOR = Actor("person-a", "party-a", frozenset({Role.AUDITOR}))


@pytest.fixture
def stored(make_log, database_url):
    """Give an empty log, once per store."""
    return make_log(database_url)


def test_the_tree_of_the_checkpoint_is_the_one_of_the_entries(stored):
    for count in (0, 1, 254, 1, 1, 300):
        stored.seal(count)
        leaves = [bytes(row[0]) for row in stored.sql("SELECT leaf FROM audit_entry ORDER BY sequence")]
        newest = audit.checkpoint(stored.site)
        assert (newest.size, newest.root) == (len(leaves), merkle.root_of([merkle.leaf_hash(leaf) for leaf in leaves]))
        assert stored.faults() == []


def test_the_files_are_those_of_the_standard(log):
    log.seal(2)
    log.seal(510)
    log.seal(1)
    names = [path.relative_to(log.folder).as_posix() for path in log.files()]
    assert names == [
        "checkpoint", "tile/0/000", "tile/0/001", "tile/0/002.p/1", "tile/1/000.p/2",
        "tile/entries/000", "tile/entries/001", "tile/entries/002.p/1",
    ]  # fmt: skip
    bundle = (log.folder / "tile/entries/002.p/1").read_bytes()
    (leaf,) = log.sql("SELECT leaf FROM audit_entry WHERE sequence = 512")[0]
    assert bundle == len(leaf).to_bytes(2, "big") + leaf
    assert (log.folder / "tile/0/002.p/1").read_bytes() == merkle.leaf_hash(leaf)


def test_sealing_without_new_entries_changes_nothing(log):
    first = log.seal(3)
    before = {path: path.stat().st_mtime_ns for path in log.files()}
    assert audit.integrate(log.site).note == first
    assert {path: path.stat().st_mtime_ns for path in log.files()} == before
    assert log.sql("SELECT count(*) FROM audit_checkpoint") == [(1,)]


def test_a_rolled_back_entry_leaves_no_gap(stored):
    stored.record(2)

    def change_that_fails():
        with stored.site.db.transaction() as tx:
            audit.record(tx, stored.site, actor=SYSTEM, action="a", subject=Ref("k", "i", ""), decision=Permitted(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_that_fails()
    stored.seal(2)
    assert stored.sql("SELECT sequence FROM audit_entry ORDER BY sequence") == [(0,), (1,), (2,), (3,)]
    assert stored.faults() == []


class Crash(BaseException):
    """The process dies here."""


def die_at_write(monkeypatch, number):
    """Let the process die before the ``number``-th file of the log is in its place; its draft is already written."""
    real, count = adapters.write, iter(range(number))

    def write(folder, path, data):
        if next(count, None) is None:
            (folder / adapters.DRAFT).write_bytes(data[: len(data) // 2])
            raise Crash
        real(folder, path, data)

    monkeypatch.setattr(adapters, "write", write)


@pytest.mark.parametrize("grown", [0, 1, 300])
def test_a_crash_at_any_file_is_made_good_by_the_next_run(make_log, monkeypatch, grown):
    # 260 entries on top of 3: a full and a partial tile and bundle, a tile of the next level, the checkpoint: 6 files
    number, is_over = 0, False
    while not is_over:
        log = make_log()
        kept = log.seal(3)
        log.record(260)
        with monkeypatch.context() as patch:
            die_at_write(patch, number)
            try:
                audit.integrate(log.site)
                is_over = True
            except Crash:
                pass
        shown = (log.folder / "checkpoint").read_text()
        assert audit.fsck(log.site, shown).faults in ((), audit.fsck(log.site).faults)
        log.record(grown)
        newest = audit.integrate(log.site)
        assert newest.size == 263 + grown
        assert log.faults(kept) == log.faults(shown) == []
        number += 1
    assert number == 7


def test_a_crash_between_tiles_and_checkpoint_publishes_nothing(log, monkeypatch):
    kept = log.seal(3)
    log.record(260)
    with monkeypatch.context() as patch:
        patch.setattr("gongshu.audit.store.add_checkpoint", lambda *_: (_ for _ in ()).throw(Crash()))
        with pytest.raises(Crash):
            audit.integrate(log.site)
    assert (log.folder / "checkpoint").read_text() == kept
    assert log.faults(kept) == []
    assert audit.integrate(log.site).size == 263
    assert log.faults(kept) == []


def integrate_elsewhere(home, url, start, rounds):
    site = make_site(home, database_url=url)
    start.wait(20)
    for _ in range(rounds):
        audit.integrate(site)
    site.db.close()


def test_two_processes_that_seal_at_once_agree(make_log, database_url):
    log = make_log(database_url)
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    others = [context.Process(target=integrate_elsewhere, args=(log.site.home, database_url, start, 15)) for _ in "ab"]
    for other in others:
        other.start()
    start.set()
    notes_seen = [log.seal(30) for _ in range(15)]
    for other in others:
        other.join(60)
        assert other.exitcode == 0
    assert audit.checkpoint(log.site).size == 450
    for note in notes_seen:
        assert log.faults(note) == []


def test_writers_in_several_threads_leave_one_order_without_gaps(make_log, database_url):
    log = make_log(database_url)
    ready = threading.Barrier(4)

    def write(_):
        ready.wait(20)
        for _ in range(20):
            with log.site.db.transaction() as tx:
                audit.record(tx, log.site, actor=SYSTEM, action="a", subject=Ref("k", "i", ""), decision=Permitted(1))
            audit.integrate(log.site)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert log.sql("SELECT sequence FROM audit_entry ORDER BY sequence") == [(number,) for number in range(80)]
    assert log.faults() == []


def test_the_key_and_the_checkpoint_are_standard_signed_notes(log):
    note, key = log.seal(1), audit.public_key(log.site)
    name, public = notes.read_verifier_key(key)
    assert re.fullmatch(r"gongshu/audit/[0-9a-f]{16}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}", key)
    assert note.split("\n")[:2] == [name, "1"]
    assert notes.open_checkpoint(note, name, public).size == 1
    assert (log.folder / "checkpoint").read_text() == note


def test_a_refusal_keeps_all_reasons_but_makes_no_edge(stored):
    denied = Denied((NOT_FOUND.because(kind="a", id="b"), NOT_FOUND.because(kind="c", id="d")))
    with stored.site.db.transaction() as tx:
        audit.record(
            tx, stored.site, actor=SYSTEM, action="a.b", subject=Ref("k", "i", ""), decision=denied,
            origins=(Ref("o", "p", ""),), facts={"count": "3"},
        )  # fmt: skip
    page = audit.list_entries(stored.site, AUDITOR, PageRequest())
    (entry,) = page.rows
    assert [(reason.code, reason.facts) for reason in entry.reasons] == [
        ("not-found", {"id": "b", "kind": "a"}), ("not-found", {"id": "d", "kind": "c"}),
    ]  # fmt: skip
    assert (entry.outcome, entry.facts, entry.at) == ("denied", {"count": "3"}, entry.at)
    assert stored.sql("SELECT count(*) FROM audit_origin") == [(0,)]
    audit.integrate(stored.site)
    assert stored.faults() == []


def test_names_from_outside_that_no_store_can_index_are_kept_whole_in_the_entry(stored):
    name = "x" * 500 + "\0"
    denied = Denied((NOT_FOUND.because(kind="k", id=name),))
    with stored.site.db.transaction() as tx:
        audit.record(tx, stored.site, actor=SYSTEM, action="a", subject=Ref("k", name, ""), decision=denied)
    stored.seal(0)
    (entry,) = audit.list_entries(stored.site, AUDITOR, PageRequest(), subject_id=name).rows
    assert entry.subject.id == name
    assert stored.faults() == []


def test_a_decision_too_large_to_be_kept_does_not_act(stored):
    origins = tuple(Ref("kind", f"id-{number}", "d" * 64) for number in range(700))
    with pytest.raises(Refused, match="audit-entry-too-large"), stored.site.db.transaction() as tx:
        audit.record(
            tx, stored.site, actor=SYSTEM, action="a", subject=Ref("k", "i", ""), decision=Permitted(1), origins=origins
        )
    assert stored.sql("SELECT count(*) FROM audit_entry") == [(0,)]


def test_the_largest_entry_fits_a_bundle(log):
    with log.site.db.transaction() as tx:
        denied = Denied(tuple(NOT_FOUND.because(kind="k", id=f"{number}" * 90) for number in range(100, 700)))
        audit.record(tx, log.site, actor=SYSTEM, action="a", subject=Ref("k", "i", ""), decision=denied)
    log.seal(0)
    (leaf,) = log.sql("SELECT leaf FROM audit_entry")[0]
    assert len(leaf) <= tiles.ENTRY_BYTES_MAX
    assert decode(leaf).reasons[-1].code == "reasons-left-out"
    assert log.faults() == []


def test_lists_are_paged_newest_first_and_filtered(stored):
    stored.record(5)
    first = audit.list_entries(stored.site, AUDITOR, PageRequest(limit=2), action="thing.make", outcome="permitted")
    second = audit.list_entries(stored.site, AUDITOR, PageRequest(limit=3, after=first.next_after), party="platform")
    assert [entry.subject.id for entry in first.rows] == ["thing-4", "thing-3"]
    assert [entry.subject.id for entry in second.rows] == ["thing-2", "thing-1", "thing-0"]
    assert second.next_after == ""
    assert audit.list_entries(stored.site, AUDITOR, PageRequest(), subject_id="thing-3").rows == first.rows[1:]
    assert audit.list_entries(stored.site, AUDITOR, PageRequest(), outcome="denied").rows == ()
    assert audit.get_entry(stored.site, AUDITOR, first.rows[0].id) == first.rows[0]
    with pytest.raises(Refused, match="not-found"):
        audit.get_entry(stored.site, AUDITOR, "entry-x")
    for cursor in ("x", "-1", "9" * 30, "²"):
        with pytest.raises(Refused, match="audit-cursor-invalid"):
            audit.list_entries(stored.site, AUDITOR, PageRequest(after=cursor))


def test_only_those_who_may_read_the_log_read_it(log):
    log.seal(1)
    for read in (
        lambda: audit.list_entries(log.site, SYSTEM, PageRequest()),
        lambda: audit.get_entry(log.site, SYSTEM, log.ids()[0]),
        lambda: audit.read_proof(log.site, SYSTEM, log.ids()[0]),
        lambda: audit.read_trace(log.site, SYSTEM, "back", "thing", "thing-0"),
        lambda: audit.read_log_file(log.site, SYSTEM, "tile/entries/000.p/1"),
    ):
        with pytest.raises(Refused, match="permission-missing"):
            read()


def test_everybody_reads_checkpoint_and_hashes_and_nothing_beside_the_log(log):
    log.seal(1)
    assert audit.read_log_file(log.site, SYSTEM, "checkpoint").decode() == audit.checkpoint(log.site).note
    assert len(audit.read_log_file(log.site, SYSTEM, "tile/0/000.p/1")) == 32
    assert audit.read_log_file(log.site, AUDITOR, "tile/entries/000.p/1")[2:3] == b"{"
    for path in ("lock", "../gongshu.db", "tile/../../gongshu.db", "tile/0/000", "tile/0/000.p/0", "tile/64/000", ""):
        with pytest.raises(Refused, match="not-found"):
            audit.read_log_file(log.site, AUDITOR, path)
