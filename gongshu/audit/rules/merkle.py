"""Merkle tree hashing, inclusion proofs and consistency proofs of RFC 6962 §2.1, over SHA-256.

Proofs are made by the recursive definition of RFC 6962 and verified by the iterative procedures of RFC 9162
§2.1.3.2 and §2.1.4.2, so that a mistake in one does not hide in the other.
"""

import hashlib
from collections.abc import Callable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()

HashAt = Callable[[int, int], bytes]
"""Gives the hash of the perfect subtree of a height (0: a leaf) at an index, counted in subtrees of that height."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry as a leaf (RFC 6962 §2.1: prefix 0x00)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962 §2.1: prefix 0x01)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash over ``hashes`` as leaves, from left to right."""
    if not hashes:
        return EMPTY_ROOT
    row = list(hashes)
    while len(row) > 1:
        paired = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        row = paired + row[len(row) & ~1 :]  # an odd last subtree moves up unchanged
    return row[0]


def push(stack: tuple[bytes, ...], size: int, leaf: bytes) -> tuple[bytes, ...]:
    """Return the perfect subtrees (largest first) of the tree of ``size`` leaves in ``stack`` after one more leaf."""
    grown = leaf
    while size & 1:
        grown = node_hash(stack[-1], grown)
        stack, size = stack[:-1], size >> 1
    return (*stack, grown)


def root_of_stack(stack: tuple[bytes, ...]) -> bytes:
    """Return the root of the tree whose perfect subtrees, largest first, are ``stack``."""
    if not stack:
        return EMPTY_ROOT
    root = stack[-1]
    for left in reversed(stack[:-1]):
        root = node_hash(left, root)
    return root


def _split(size: int) -> int:
    """Return the largest power of two smaller than ``size`` (RFC 6962 §2.1: k)."""
    return 1 << ((size - 1).bit_length() - 1)


def range_hash(low: int, high: int, hash_at: HashAt) -> bytes:
    """Return the Merkle tree hash of the leaves ``low`` to ``high`` (exclusive), a subtree of the definition."""
    size = high - low
    if size & (size - 1) == 0:
        height = size.bit_length() - 1
        return hash_at(height, low >> height)
    middle = low + _split(size)
    return node_hash(range_hash(low, middle, hash_at), range_hash(middle, high, hash_at))


def _inclusion_ranges(index: int, low: int, high: int) -> list[tuple[int, int]]:
    if high - low == 1:
        return []
    middle = low + _split(high - low)
    if index < middle:
        return [*_inclusion_ranges(index, low, middle), (middle, high)]
    return [*_inclusion_ranges(index, middle, high), (low, middle)]


def inclusion_proof(index: int, size: int, hash_at: HashAt) -> tuple[bytes, ...]:
    """Return the audit path of leaf ``index`` in the tree of ``size`` leaves, from its sibling to the root's child."""
    if not 0 <= index < size:
        raise ValueError("the index lies outside the tree")
    return tuple(range_hash(low, high, hash_at) for low, high in _inclusion_ranges(index, 0, size))


def _consistency_ranges(old: int, low: int, high: int, *, is_known: bool) -> list[tuple[int, int]]:
    if old == high:
        return [] if is_known else [(low, high)]
    middle = low + _split(high - low)
    if old <= middle:
        return [*_consistency_ranges(old, low, middle, is_known=is_known), (middle, high)]
    return [*_consistency_ranges(old, middle, high, is_known=False), (low, middle)]


def consistency_proof(old: int, new: int, hash_at: HashAt) -> tuple[bytes, ...]:
    """Return the proof that the tree of ``old`` leaves is a prefix of that of ``new`` leaves. Empty when trivial."""
    if not 0 <= old <= new:
        raise ValueError("the old tree is larger than the new one")
    if old == 0:
        return ()
    return tuple(range_hash(low, high, hash_at) for low, high in _consistency_ranges(old, 0, new, is_known=True))


def root_by_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """Return the root that ``path`` leads to from ``leaf``, or ``None`` when it has the wrong length."""
    if not 0 <= index < size:
        return None
    node, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0 or len(sibling) != HASH_BYTES:
            return None
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    return root if last == 0 else None


def is_included(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> bool:
    """Whether ``path`` proves that ``leaf`` stands at ``index`` in the tree of ``size`` leaves with ``root``."""
    return root_by_inclusion(index, size, leaf, path) == root


def is_consistent(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether ``path`` proves that the tree of ``old`` leaves is a prefix of the tree of ``new`` leaves."""
    if not 0 <= old <= new or any(len(part) != HASH_BYTES for part in path):
        return False
    if old == new:
        return not path and old_root == new_root
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    parts = list(path)
    if old & (old - 1) == 0:
        parts.insert(0, old_root)
    if not parts:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    from_old = from_new = parts[0]
    for part in parts[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            from_old, from_new = node_hash(part, from_old), node_hash(part, from_new)
            while not node & 1 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            from_new = node_hash(from_new, part)
        node, last = node >> 1, last >> 1
    return last == 0 and from_old == old_root and from_new == new_root
