"""Whatever is changed in the log is found."""

import pytest

from gongshu.audit import adapters
from gongshu.audit import service as audit
from gongshu.base.decisions import Refused


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


@pytest.fixture
def small(log):
    """Give a log of two entries behind two checkpoints."""
    log.seal(1)
    log.seal(1)
    assert log.faults() == []
    return log


@pytest.fixture
def large(log):
    """Give a log of two full bundles and a part of a third, sealed in four steps."""
    for count in (3, 254, 256, 40):
        log.seal(count)
    assert log.faults() == []
    return log


def test_every_byte_of_every_file_is_guarded(small):
    files = small.files()
    assert [path.relative_to(small.folder).as_posix() for path in files] == [
        "checkpoint", "tile/0/000.p/1", "tile/0/000.p/2", "tile/entries/000.p/1", "tile/entries/000.p/2",
    ]  # fmt: skip
    for path in files:
        data = path.read_bytes()
        for at in range(len(data)):
            path.write_bytes(flipped(data, at, at % 8))
            assert small.faults(), (path, at)
        path.write_bytes(data)
    assert small.faults() == []


def test_every_byte_of_an_entry_in_the_database_is_guarded(small):
    (leaf,) = small.sql("SELECT leaf FROM audit_entry WHERE sequence = 1")[0]
    for at in range(len(leaf)):
        small.sql("UPDATE audit_entry SET leaf = :leaf WHERE sequence = 1", leaf=flipped(leaf, at, at % 8))
        assert small.faults(), at
    small.sql("UPDATE audit_entry SET leaf = :leaf WHERE sequence = 1", leaf=leaf)
    assert small.faults() == []


def test_every_byte_of_a_kept_checkpoint_is_guarded(small):
    (note,) = small.sql("SELECT note FROM audit_checkpoint WHERE size = 1")[0]
    for at in range(len(note)):
        changed = note[:at] + chr(ord(note[at]) ^ 1) + note[at + 1 :]
        small.sql("UPDATE audit_checkpoint SET note = :note WHERE size = 1", note=changed)
        assert small.faults(), at


def test_a_sample_of_the_bytes_of_a_larger_log_is_guarded(large):
    for path in large.files():
        data = path.read_bytes()
        for at in {0, len(data) // 3, len(data) // 2, len(data) - 1}:
            path.write_bytes(flipped(data, at, at % 8))
            assert large.faults(), (path, at)
        path.write_bytes(data)
    for sequence in (0, 255, 256, 511, 512, 552):
        (leaf,) = large.sql("SELECT leaf FROM audit_entry WHERE sequence = :s", s=sequence)[0]
        changed = leaf.replace(b"thing.make", b"thing.mask")
        large.sql("UPDATE audit_entry SET leaf = :leaf WHERE sequence = :s", leaf=changed, s=sequence)
        faults = large.faults()
        tile = f"tile/0/{sequence // 256:03d}"
        assert any(fault.startswith(tile) and fault.endswith(f"first at entry {sequence}") for fault in faults), faults
        large.sql("UPDATE audit_entry SET leaf = :leaf WHERE sequence = :s", leaf=leaf, s=sequence)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "entry-x"), ("at_ms", 1), ("person", "x"), ("party", "x"), ("action", "x"), ("subject_kind", "x"),
        ("subject_id", "x"), ("outcome", "denied"),
    ],
)  # fmt: skip
def test_a_changed_searched_column_is_found(small, column, value):
    small.sql(f"UPDATE audit_entry SET {column} = :value WHERE sequence = 0", value=value)
    assert "entry 0: its searched columns differ from it" in small.faults()


def test_a_changed_or_added_or_deleted_origin_is_found(small):
    small.sql("UPDATE audit_origin SET origin_id = 'x' WHERE origin_id = 'thing-0'")
    assert [fault for fault in small.faults() if "an origin is missing" in fault]
    small.sql("UPDATE audit_origin SET origin_id = 'thing-0' WHERE origin_id = 'x'")
    small.sql("INSERT INTO audit_origin (origin_id, origin_kind, entry_id) VALUES ('x', 'y', 'z')")
    assert small.faults() == ["origins: the entries name 2, the index holds another number"]
    small.sql("DELETE FROM audit_origin")
    assert len(small.faults()) == 3


def test_two_entries_that_change_places_are_found(large):
    one, other = (large.sql("SELECT leaf FROM audit_entry WHERE sequence = :s", s=s)[0][0] for s in (10, 11))
    large.sql("UPDATE audit_entry SET sequence = -1 WHERE sequence = 10")
    large.sql("UPDATE audit_entry SET sequence = 10 WHERE sequence = 11")
    large.sql("UPDATE audit_entry SET sequence = 11 WHERE sequence = -1")
    assert (other, one) == tuple(
        large.sql("SELECT leaf FROM audit_entry WHERE sequence = :s", s=s)[0][0] for s in (10, 11)
    )
    assert "tile/0/000: differs from the entries, first at entry 10" in large.faults()


@pytest.mark.parametrize("sequence", [0, 100, 552])
def test_a_deleted_entry_is_found(large, sequence):
    large.sql("DELETE FROM audit_entry WHERE sequence = :s", s=sequence)
    faults = large.faults()
    assert f"checkpoint 553: 553 entries were signed, {sequence} are left" in faults


def test_an_added_entry_is_found_once_it_claims_a_place_that_was_signed(small):
    small.sql("UPDATE audit_entry SET sequence = sequence + 10")
    small.sql("UPDATE audit_entry SET sequence = sequence - 9")
    small.sql(
        "INSERT INTO audit_entry SELECT 0, 'entry-x', at_ms, person, party, action, subject_kind, subject_id, outcome, leaf FROM audit_entry WHERE sequence = 1"
    )
    assert (
        "checkpoint 1: its root is not that of the first 1 entries" not in small.faults()
    )  # the same leaf stands there
    assert "checkpoint 2: its root is not that of the first 2 entries" in small.faults()


def test_no_further_checkpoint_is_signed_once_an_entry_is_missing(small):
    small.sql("DELETE FROM audit_entry WHERE sequence = 1")
    with pytest.raises(Refused, match="audit-log-damaged"):
        audit.integrate(small.site)
    small.record(1)  # takes the place of the deleted one
    with pytest.raises(Refused, match="audit-log-damaged"):
        small.seal(1)


def test_a_deleted_last_entry_is_found_by_the_kept_checkpoint_even_if_the_log_was_sealed_again(small):
    small.sql("DELETE FROM audit_entry WHERE sequence = 1")
    small.sql("DELETE FROM audit_origin WHERE origin_id = 'thing-0'")
    for path in small.files():
        path.unlink()
    with pytest.raises(Refused, match="audit-log-damaged"):
        audit.integrate(small.site)
    assert any("2 entries were signed, 1 are left" in fault for fault in small.faults())


@pytest.mark.parametrize("refill", [0, 1, 5])
def test_a_handed_out_checkpoint_finds_what_an_attacker_with_the_key_covered_up(small, refill):
    handed_out = audit.checkpoint(small.site).note
    small.sql("DELETE FROM audit_entry WHERE sequence = 1")
    small.sql("DELETE FROM audit_origin WHERE origin_id = 'thing-0'")
    small.sql("DELETE FROM audit_checkpoint WHERE size = 2")
    for path in small.files():
        path.unlink()
    small.seal(refill)  # with the real key
    assert small.faults() == []
    (fault,) = small.faults(handed_out)
    assert fault.startswith("handed-out checkpoint: ")


def test_a_handed_out_checkpoint_of_an_honest_log_is_contained_in_it(log):
    notes = [log.seal(count) for count in (0, 1, 255, 1, 300)]
    for note in notes:
        assert log.faults(note) == []


@pytest.mark.parametrize("change", ["", "x", "\n", "— a b\n"])
def test_a_handed_out_text_that_is_no_checkpoint_of_this_log_is_a_fault(log, make_log, change):
    log.seal(1)
    foreign = make_log().seal(1)
    assert log.faults(foreign) == ["handed-out checkpoint: the note is not signed by this log's key"]
    if change:
        assert len(log.faults(audit.checkpoint(log.site).note + change)) == 1


def test_a_checkpoint_file_that_was_rolled_back_is_found_and_put_right(log):
    old = log.seal(3).encode()
    new = log.seal(3).encode()
    (log.folder / "checkpoint").write_bytes(old)
    assert log.faults() == ["checkpoint: does not show the newest one, of 6 entries"]
    assert audit.integrate(log.site).note.encode() == new == (log.folder / "checkpoint").read_bytes()
    assert log.faults() == []


def test_a_checkpoint_file_newer_than_the_database_stops_the_log(log):
    log.seal(3)
    log.seal(3)
    log.sql("DELETE FROM audit_checkpoint WHERE size = 6")
    log.sql("DELETE FROM audit_entry WHERE sequence >= 3")
    assert "checkpoint: it is newer than the database, which lost entries" in log.faults()
    with pytest.raises(Refused, match="audit-log-damaged"):
        audit.integrate(log.site)


def test_a_missing_checkpoint_file_is_found_and_written_again(small):
    (small.folder / "checkpoint").unlink()
    assert small.faults() == ["checkpoint: does not show the newest one, of 2 entries"]
    audit.integrate(small.site)
    assert small.faults() == []


def test_missing_tiles_are_found_and_made_again_from_the_entries(large):
    before = {path: path.read_bytes() for path in large.files()}
    for path in large.files():
        if path.name != "checkpoint":
            path.unlink()
            assert large.faults(), path
    for folder in sorted((large.folder / "tile").rglob("*"), reverse=True):
        folder.rmdir()
    (large.folder / "tile").rmdir()
    audit.integrate(large.site)
    assert large.faults() == []
    after = {path: path.read_bytes() for path in large.files()}
    assert after.items() <= before.items()


def test_tiles_made_again_from_changed_entries_are_not_signed(large):
    for path in large.files():
        if path.name != "checkpoint":
            path.unlink()
    large.sql("UPDATE audit_entry SET leaf = (SELECT leaf FROM audit_entry WHERE sequence = 8) WHERE sequence = 7")
    with pytest.raises(Refused, match="audit-log-damaged"):
        large.seal(1)


@pytest.mark.parametrize("name", ["tile/0/002.p/41", "tile/1/000.p/2"])
def test_a_changed_tile_at_the_edge_is_not_built_upon(large, name):
    path = large.folder / name
    path.write_bytes(flipped(path.read_bytes(), 5))
    with pytest.raises(Refused, match="audit-log-damaged"):
        large.seal(1)


def test_a_changed_entry_in_the_last_bundle_is_not_built_upon(large):
    large.sql("UPDATE audit_entry SET leaf = (SELECT leaf FROM audit_entry WHERE sequence = 8) WHERE sequence = 520")
    with pytest.raises(Refused, match="audit-log-damaged"):
        large.seal(1)


@pytest.mark.parametrize("name", ["tile/0/000.p/x", "tile/2/000", "notes.txt", "tile/0/000.p/3.bak"])
def test_a_file_that_does_not_belong_to_the_log_is_found(small, name):
    path = small.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    assert small.faults() == [f"{name}: is no file of this log"]


def test_an_empty_partial_tile_is_found(small):
    (small.folder / "tile/0/000.p/0").write_bytes(b"")
    assert small.faults()


def test_a_proof_from_changed_tiles_is_not_handed_out(large):
    wanted = large.ids()[300]
    path = large.folder / "tile/0/001"
    path.write_bytes(flipped(path.read_bytes(), 0))
    with pytest.raises(Refused, match="audit-log-damaged"):
        audit.prove(large.site, wanted)
    path.unlink()
    with pytest.raises(Refused, match="audit-log-damaged"):
        audit.prove(large.site, wanted)
    path = large.folder / "tile/0/000"
    path.write_bytes(flipped(path.read_bytes(), 0))
    with pytest.raises(Refused, match="audit-log-damaged"):
        audit.prove_consistency(large.site, 3)


def test_a_kept_checkpoint_whose_signature_was_changed_is_not_shown(small):
    small.sql("UPDATE audit_checkpoint SET root = :root", root="0" * 64)
    with pytest.raises(Refused, match="audit-log-damaged"):
        audit.checkpoint(small.site)


def test_the_number_of_faults_reported_is_bounded(log):
    log.seal(1200)
    log.sql("UPDATE audit_entry SET party = 'x'")
    assert len(log.faults()) == 1000


def test_draft_and_lock_are_no_part_of_the_log(small):
    (small.folder / adapters.DRAFT).write_bytes(b"half a tile")
    assert small.faults() == []
