"""Proofs verify for all sizes, and fail for any flipped bit."""

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from gongshu.audit.rules import merkle, notes, tiles

SIZE_MAX = 600
SEED = bytes(range(32))
PUBLIC = notes.public_bytes(SEED)
NAME = notes.origin_of(PUBLIC)
HASHES = [merkle.leaf_hash(b"entry %d" % number) for number in range(SIZE_MAX)]


@cache
def files(size):
    edge, full = tiles.extend(tiles.Edge(), HASHES[:size])
    return {tile.path: tile.data for tile in (*full, *edge.tiles())}, edge.root()


def hash_at(size):
    return tiles.hash_reader(size, files(size)[0].__getitem__)


@st.composite
def places(draw):
    size = draw(st.integers(1, SIZE_MAX))
    return draw(st.integers(0, size - 1)), size


@st.composite
def pairs(draw):
    new = draw(st.integers(0, SIZE_MAX))
    return draw(st.integers(0, new)), new


def flip(hashes, bit):
    """Return ``hashes`` with one bit flipped."""
    data = bytearray(b"".join(hashes))
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    return tiles.hashes_of(bytes(data))


def test_proofs_of_all_entries_of_all_sizes_verify():
    for size in (*range(1, 70), 255, 256, 257, 511, 512, 513, SIZE_MAX):
        reader, root = hash_at(size), files(size)[1]
        for index in range(size):
            assert merkle.is_included(index, size, HASHES[index], merkle.inclusion_proof(index, size, reader), root)


def test_all_pairs_of_small_sizes_are_consistent():
    for new in range(70):
        for old in range(new + 1):
            path = merkle.consistency_proof(old, new, hash_at(new))
            assert merkle.is_consistent(old, new, files(old)[1], files(new)[1], path)


@given(places(), st.integers(0, 1 << 16))
def test_an_inclusion_proof_with_a_flipped_bit_fails(place, bit):
    index, size = place
    path, root = merkle.inclusion_proof(index, size, hash_at(size)), files(size)[1]
    assert merkle.is_included(index, size, HASHES[index], path, root)
    assert not merkle.is_included(index, size, flip((HASHES[index],), bit)[0], path, root)
    assert not merkle.is_included(index, size, HASHES[index], path, flip((root,), bit)[0])
    if path:
        assert not merkle.is_included(index, size, HASHES[index], flip(path, bit), root)
    assert not merkle.is_included(index, size, HASHES[index], (*path, root), root)


@given(places(), st.integers(0, SIZE_MAX))
def test_an_inclusion_proof_holds_for_its_own_place_only(place, other):
    index, size = place
    path, root = merkle.inclusion_proof(index, size, hash_at(size)), files(size)[1]
    if other != index:
        assert not merkle.is_included(other, size, HASHES[index], path, root)


@given(pairs(), st.integers(0, 1 << 16))
def test_a_consistency_proof_with_a_flipped_bit_fails(sizes, bit):
    old, new = sizes
    path = merkle.consistency_proof(old, new, hash_at(new))
    before, after = files(old)[1], files(new)[1]
    assert merkle.is_consistent(old, new, before, after, path)
    assert not merkle.is_consistent(old, new, flip((before,), bit)[0], after, path)
    if old:  # the empty log is a beginning of every log, whatever its root
        assert not merkle.is_consistent(old, new, before, flip((after,), bit)[0], path)
    if path:
        assert not merkle.is_consistent(old, new, before, after, flip(path, bit))
        assert not merkle.is_consistent(old, new, before, after, path[:-1])


@given(st.lists(st.integers(0, 300), max_size=6))
def test_a_log_grown_in_steps_is_the_one_grown_at_once(steps):
    hashes = [merkle.leaf_hash(b"%d" % number) for number in range(sum(steps))]
    edge, full, stack, at = tiles.Edge(), (), (), 0
    for step in steps:
        edge, more = tiles.extend(edge, hashes[at : at + step])
        full, at = full + more, at + step
    for size, leaf in enumerate(hashes):
        stack = merkle.push(stack, size, leaf)
    assert (edge, full) == tiles.extend(tiles.Edge(), hashes)
    assert edge.root() == merkle.root_of(hashes) == merkle.root_of_stack(stack)
    assert tuple(len(level) for level in edge.levels)[: len(tiles.widths(at))] == tiles.widths(at)


@given(st.integers(0, 10**17), st.binary(min_size=32, max_size=32), st.data())
def test_a_checkpoint_reads_back_and_no_character_of_it_is_free(size, root, data):
    note = notes.sign_checkpoint(size, root, SEED).note
    found = notes.open_checkpoint(note, NAME, PUBLIC)
    assert (found.size, found.root) == (size, root)
    at = data.draw(st.integers(0, len(note) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda character: character != note[at]))
    try:
        opened = notes.open_checkpoint(note[:at] + other + note[at + 1 :], NAME, PUBLIC)
    except ValueError:
        return
    raise AssertionError(f"opened {opened}")
