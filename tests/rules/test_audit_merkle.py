"""Merkle hashing and proofs against the published vectors of Certificate Transparency (RFC 6962)."""

import pytest

from gongshu.audit.rules.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    leaf_hash,
    node_hash,
    push,
    range_hash,
    root_by_inclusion,
    root_of,
    root_of_stack,
)

# The leaves, roots and paths that the reference implementation of Certificate Transparency tests itself with.
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def hash_at(height, index):
    return root_of(HASHES[index << height : (index + 1) << height])


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_published_trees(size):
    assert root_of(HASHES[:size]).hex() == ROOTS[size - 1]
    assert range_hash(0, size, hash_at).hex() == ROOTS[size - 1]
    stack = ()
    for index in range(size):
        stack = push(stack, index, HASHES[index])
    assert root_of_stack(stack).hex() == ROOTS[size - 1]


def test_the_empty_tree_has_the_root_of_the_empty_string():
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root_of([]) == root_of_stack(()) == EMPTY_ROOT


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [
        (0, 1, []), (0, 8, [A, B, C]), (5, 8, [D, E, ROOTS[3]]), (2, 3, [ROOTS[1]]), (1, 5, [ROOTS[0], B, D]),
    ],
)  # fmt: skip
def test_audit_paths_are_the_published_ones(index, size, path):
    found = inclusion_proof(index, size, hash_at)
    assert [part.hex() for part in found] == path
    assert is_included(index, size, HASHES[index], found, bytes.fromhex(ROOTS[size - 1]))


@pytest.mark.parametrize(
    ("old", "new", "path"), [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [F, E, ROOTS[3]]), (2, 5, [B, D])]
)
def test_consistency_proofs_are_the_published_ones(old, new, path):
    found = consistency_proof(old, new, hash_at)
    assert [part.hex() for part in found] == path
    assert is_consistent(old, new, bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[new - 1]), found)


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (1, 1), (0, 0)])
def test_there_is_no_path_outside_the_tree(index, size):
    with pytest.raises(ValueError, match="outside"):
        inclusion_proof(index, size, hash_at)
    assert root_by_inclusion(index, size, HASHES[0], ()) is None


@pytest.mark.parametrize(("old", "new"), [(-1, 1), (2, 1)])
def test_a_smaller_tree_contains_no_larger_one(old, new):
    with pytest.raises(ValueError, match="larger"):
        consistency_proof(old, new, hash_at)
    assert not is_consistent(old, new, HASHES[0], HASHES[0], ())


def test_paths_of_wrong_length_lead_nowhere():
    path = inclusion_proof(2, 8, hash_at)
    root = bytes.fromhex(ROOTS[7])
    assert is_included(2, 8, HASHES[2], path, root)
    for wrong in (path[:-1], (*path, path[0]), (path[0][:-1], *path[1:]), ()):
        assert root_by_inclusion(2, 8, HASHES[2], wrong) is None
        assert not is_included(2, 8, HASHES[2], wrong, root)


def test_consistency_of_equal_and_of_empty_trees_needs_no_hashes():
    one, eight = bytes.fromhex(ROOTS[0]), bytes.fromhex(ROOTS[7])
    assert is_consistent(8, 8, eight, eight, ())
    assert not is_consistent(8, 8, eight, one, ())
    assert not is_consistent(8, 8, eight, eight, (one,))
    assert consistency_proof(0, 8, hash_at) == ()
    assert is_consistent(0, 8, EMPTY_ROOT, eight, ())
    assert not is_consistent(0, 8, one, eight, ())
    assert not is_consistent(0, 8, EMPTY_ROOT, eight, (one,))


def test_consistency_proofs_of_wrong_length_prove_nothing():
    old, new = bytes.fromhex(ROOTS[5]), bytes.fromhex(ROOTS[7])
    path = consistency_proof(6, 8, hash_at)
    for wrong in (path[:-1], (*path, path[0]), (), (path[0][:-1], *path[1:])):
        assert not is_consistent(6, 8, old, new, wrong)


def test_leaves_and_nodes_are_hashed_apart():
    assert leaf_hash(HASHES[0] + HASHES[1]) != node_hash(HASHES[0], HASHES[1])
