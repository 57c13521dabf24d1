"""Counts and sums over the intersection on secret shares (SPU, CHEETAH): nobody sees which keys matched.

Each side enters its table as shares. Only what ``finish`` returns is opened, and only to those who are to learn it:
whether the thresholds hold and, if they do, count and sum. Cells are compared in slices of one shape, so that memory is
bounded and progress can be told.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import spu
from jax import Array
from spu import libspu
from spu.utils import frontend

from gongshu.compute.adapters.joint.node.placing import Integers

jax.config.update("jax_enable_x64", True)

CELLS_MAX = 1 << 18
"""Comparisons of one slice: about a second and a gigabyte."""
STATE = ("count", "total", "size", "largest", "second")
ZERO: Integers = np.zeros((), dtype=np.int64)
ANSWER = ("passes", "shown_count", "shown_total", "is_signed")


class ShareError(Exception):
    """What the peer sent as its share has not the form agreed."""


@dataclass(frozen=True)
class Limits:
    """The thresholds that are tested on shares (controls §3): units, p %, and (n, k) with n of 1 or 2."""

    units_min: int
    p_percent: int
    top_n: int
    top_percent: int


def slice_width(depth: int, bins: int) -> int:
    """Return how many bins make a slice: a power of two."""
    width = 1 << max(0, (CELLS_MAX // depth).bit_length() - 1)
    return min(width, 1 << (bins - 1).bit_length())


def _top_two(largest: Array, second: Array) -> tuple[Array, Array]:
    while largest.shape[0] > 1:
        half = largest.shape[0] // 2
        a, b, c, d = largest[:half], largest[half:], second[:half], second[half:]
        is_first = a > b
        largest = jnp.where(is_first, a, b)
        beaten, kept = jnp.where(is_first, b, a), jnp.where(is_first, c, d)
        second = jnp.where(beaten > kept, beaten, kept)
    return largest, second


def step(others: Array, tags: Array, values: Array, sizes: Array, *state: Array) -> tuple[Array, ...]:
    """Add one slice: a bin counts when its tag equals one of the other side's; at most one can."""
    count, total, size, largest, second = state
    hit = jax.lax.reduce(others == tags[None, :], np.bool_(False), jax.lax.bitwise_xor, (0,))
    zero = jnp.int64(0)
    parts = jnp.where(hit, sizes, zero)
    first, next_ = _top_two(parts, jnp.zeros_like(parts))
    first, next_ = _top_two(jnp.concatenate([first, largest.reshape(1)]), jnp.concatenate([next_, second.reshape(1)]))
    return (
        count + jnp.sum(hit.astype(jnp.int64)), total + jnp.sum(jnp.where(hit, values, zero)),
        size + jnp.sum(parts), first[0], next_[0],
    )  # fmt: skip


def finish(limits: Limits) -> Callable[..., tuple[Array, ...]]:
    """Return the program that tests the thresholds and lets through what they allow. All parts zero passes."""

    def tested(count: Array, total: Array, size: Array, largest: Array, second: Array) -> tuple[Array, ...]:
        top = largest + second if limits.top_n > 1 else largest
        passes = (
            (count >= limits.units_min)
            & (100 * (size - largest - second) >= limits.p_percent * largest)
            & (100 * top <= limits.top_percent * size)
        )
        zero = jnp.int64(0)
        is_signed = (size != total).astype(jnp.int64)  # sizes are the values without their signs
        return (
            passes.astype(jnp.int64), jnp.where(passes, count, zero), jnp.where(passes, total, zero),
            jnp.where(passes, is_signed, zero),
        )  # fmt: skip

    return tested


class Machine:
    """One side of the two-party machine over an open link."""

    def __init__(self, link: Any, side: int) -> None:
        """Set the machine up; nothing is sent yet."""
        self._link, self._side = link, side
        config = libspu.RuntimeConfig(protocol=libspu.ProtocolKind.CHEETAH, field=libspu.FieldType.FM64)
        self._io, self._runtime = spu.Io(2, config), spu.Runtime(link, config)

    def compile(self, program: Callable[..., Any], inputs: dict[str, Integers], outputs: tuple[str, ...]) -> Any:
        """Compile for the shapes of ``inputs``; both sides compile the same program themselves."""
        secret = [libspu.Visibility.VIS_SECRET] * len(inputs)
        compiled, _ = frontend.compile(
            frontend.Kind.JAX, program, tuple(inputs.values()), {}, list(inputs), secret, lambda _: list(outputs)
        )
        return compiled

    def enter(self, name: str, owner: int, values: Integers) -> None:
        """Enter a secret table: the owner keeps one share and sends the other. Elsewhere only its shape counts."""
        shares = self._io.make_shares(values, libspu.Visibility.VIS_SECRET, -1)
        if owner == self._side:
            self._send(shares[1 - self._side])
            self._runtime.set_var(name, shares[self._side])
        else:
            self._runtime.set_var(name, self._receive(like=shares[self._side]))

    def set_zero(self, names: tuple[str, ...]) -> None:
        """Enter zeros."""
        for name in names:
            self.enter(name, 0, ZERO)

    def run(self, compiled: Any) -> None:
        """Run on the variables entered; results stay shares."""
        self._runtime.run(compiled)

    def open(self, name: str, learners: tuple[int, ...]) -> int | None:
        """Open a number to those who may learn it; others send their share and get ``None``."""
        mine = self._runtime.get_var(name)
        theirs = None
        for learner in learners:
            if learner == self._side:
                theirs = self._receive(like=mine)
            else:
                self._send(mine)
        if theirs is None:
            return None
        pair = [mine, theirs] if self._side == 0 else [theirs, mine]
        return int(self._io.reconstruct(pair))

    def _send(self, share: Any) -> None:
        peer = 1 - self._side
        self._link.send(peer, json.dumps([len(chunk) for chunk in share.share_chunks]))
        for part in (share.meta, *share.share_chunks):
            self._link.send(peer, part)

    def _receive(self, like: Any) -> Any:
        peer = 1 - self._side
        expected = [len(chunk) for chunk in like.share_chunks]
        if self._link.recv(peer) != json.dumps(expected).encode():
            raise ShareError
        share = libspu.Share()
        share.meta = self._link.recv(peer)
        share.share_chunks = [self._link.recv(peer) for _ in expected]
        if share.meta != like.meta or [len(chunk) for chunk in share.share_chunks] != expected:
            raise ShareError
        return share
