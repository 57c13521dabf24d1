"""Tile arithmetic as C2SP tlog-tiles writes it."""

import pytest

from gongshu.audit.rules.merkle import EMPTY_ROOT, leaf_hash, root_of
from gongshu.audit.rules.tiles import (
    Edge,
    Tile,
    bundle,
    bundle_path,
    edge_paths,
    extend,
    hash_reader,
    hashes_of,
    is_bundle_path,
    is_tile_path,
    tile_path,
    widths,
)


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [
        (0, 256, "tile/3/000"), (999, 256, "tile/3/999"), (1000, 256, "tile/3/x001/000"),
        (1234067, 256, "tile/3/x001/x234/067"), (1234067, 7, "tile/3/x001/x234/067.p/7"),
    ],
)  # fmt: skip
def test_numbers_of_tiles_are_written_in_threes(index, width, path):
    assert tile_path(3, index, width) == path
    assert bundle_path(index, width) == path.replace("/3/", "/entries/")
    assert is_tile_path(path)
    assert not is_bundle_path(path)
    assert is_bundle_path(bundle_path(index, width))


@pytest.mark.parametrize(
    "path",
    [
        "", "checkpoint", "tile", "tile/0", "tile/0/", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/64/000", "tile/-1/000",
        "tile/0/x000", "tile/0/000/x001", "tile/0/001/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/",
        "tile/0/000/", "/tile/0/000", "tile/0/../000", "tile/0/000\n", "tile/entries/..", "tile/0/٠٠٠", "tile/٣/000", "TILE/0/000",
    ],
)  # fmt: skip
def test_no_other_path_is_one_of_a_tile(path):
    assert not is_tile_path(path)
    assert not is_bundle_path(path)


def test_a_log_of_70_000_entries_has_the_tiles_that_the_standard_counts():
    edge, full = extend(Edge(), [leaf_hash(b"%d" % number) for number in range(70_000)])
    assert [len([tile for tile in full if tile.level == level]) for level in (0, 1, 2)] == [273, 1, 0]
    assert [(tile.level, tile.index, len(tile.hashes)) for tile in edge.tiles()] == [
        (0, 273, 112),
        (1, 1, 17),
        (2, 0, 1),
    ]
    assert widths(70_000) == (112, 17, 1)
    assert edge_paths(70_000) == ("tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1")


def test_a_log_of_256_entries_has_a_full_tile_and_one_hash_above_it():
    hashes = [leaf_hash(b"%d" % number) for number in range(256)]
    edge, full = extend(Edge(), hashes)
    assert full == (Tile(0, 0, tuple(hashes)),)
    assert edge.tiles() == (Tile(1, 0, (root_of(hashes),)),)
    assert edge_paths(256) == ("", "tile/1/000.p/1")
    assert full[0].data == b"".join(hashes)
    assert full[0].path == "tile/0/000"
    assert hashes_of(full[0].data) == tuple(hashes)


def test_the_empty_log_has_no_tiles():
    assert (Edge().root(), Edge().tiles(), widths(0), Edge().at_tile_start()) == (EMPTY_ROOT, (), (), Edge())


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 513, 1000, 65_536, 65_537, 66_000])
def test_the_edge_of_a_log_gives_its_root_and_can_be_taken_up_again(size):
    hashes = [leaf_hash(b"%d" % number) for number in range(size)]
    edge, _ = extend(Edge(), hashes)
    assert edge.root() == root_of(hashes)
    start = edge.at_tile_start()
    assert start.size == size - size % 256
    assert extend(start, hashes[start.size :])[0] == edge


def test_hashes_of_all_subtrees_are_found_in_the_tiles():
    hashes = [leaf_hash(b"%d" % number) for number in range(700)]
    edge, full = extend(Edge(), hashes)
    files = {tile.path: tile.data for tile in (*full, *edge.tiles())}
    hash_at = hash_reader(700, files.__getitem__)
    for height in range(10):
        for index in range(700 >> height):
            assert hash_at(height, index) == root_of(hashes[index << height : (index + 1) << height])


def test_entries_stand_in_a_bundle_behind_their_length():
    assert bundle([b"", b"ab", b"c" * 300]) == b"\0\0" + b"\0\x02ab" + b"\x01\x2c" + b"c" * 300
