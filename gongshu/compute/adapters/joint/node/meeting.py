"""The link to the peer's node, and what both must say alike before a key is touched.

First each side names the digest of the task and the versions; nothing of the data is told to a peer that differs.
Then each tells how many rows it has and half of the salt of this session.
"""

import hashlib
import json
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spu import __version__ as spu_version
from spu import libspu

PROTOCOL = "gongshu-joint/2"
SALT_BYTES = 32
GOODBYE = "goodbye"
HELLO_CHARACTERS_MAX = 1_000
CONNECT_RETRY_MS = 100
RETRIES = 2
RETRY_MS = 500


class PeerAbsentError(Exception):
    """No link came about: nobody there, or nobody with the right certificate."""


class PeerDiffersError(Exception):
    """The peer speaks of another task, another version, or says what no honest node says."""


@dataclass(frozen=True)
class Talk:
    """The link to the peer, which side of the task we are, who is to learn the outcome, and whom to tell how far it is."""

    link: Any
    side: int
    learners: tuple[int, ...]
    tell: Callable[[int, str], None]


@dataclass(frozen=True)
class Session:
    """What both sides know once they have met."""

    rows: tuple[int, int]
    salt: bytes


def open_link(order: dict[str, Any], silence_seconds: int, connect_seconds: int) -> Any:
    """Listen, connect to the peer, and return the link. Blocks until the peer is there or the parent loses patience."""
    wanted = libspu.link.Desc()
    wanted.id = "joint"
    wanted.recv_timeout_ms = wanted.http_timeout_ms = silence_seconds * 1000
    wanted.connect_retry_times = connect_seconds * 1000 // CONNECT_RETRY_MS
    wanted.connect_retry_interval_ms = CONNECT_RETRY_MS
    retry = wanted.retry_opts
    retry.max_retry, retry.retry_interval_ms = RETRIES, RETRY_MS
    retry.retry_interval_incr_ms, retry.max_retry_interval_ms = RETRY_MS, 2 * RETRY_MS
    side = order["side"]
    hosts = [order["peer"], order["peer"]]
    hosts[side] = order["listen"]
    for number, host in enumerate(hosts):
        wanted.add_party(f"side{number}", host)
    wanted.enable_ssl = True
    for options in (wanted.server_ssl_opts, wanted.client_ssl_opts):
        _secure(options, order["certificates"])
    _probe(order["listen"])
    try:
        return libspu.link.create_brpc(wanted, side)
    except RuntimeError:
        raise PeerAbsentError from None


def _probe(listen: str) -> None:
    """Raise ``OSError`` if our own address cannot be listened on: that is not the peer's fault."""
    host, _, port = listen.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, int(port)))


def _secure(options: Any, certificates: dict[str, str]) -> None:
    """Show our certificate and accept only the peer's: its file is the only authority trusted."""
    options.cert.certificate_path = certificates["own"]
    options.cert.private_key_path = certificates["key"]
    options.verify.ca_file_path = certificates["peer"]
    options.verify.verify_depth = 1


def meet(link: Any, side: int, digest: str) -> None:
    """Compare task and versions. Both sides see both hellos, so both refuse."""
    ours = {"protocol": PROTOCOL, "library": spu_version, "digest": digest, "side": side}
    theirs = _exchange(link, side, ours)
    if theirs != ours | {"side": 1 - side}:
        raise PeerDiffersError


def open_session(link: Any, side: int, digest: str, rows: int, allowed: tuple[int, int]) -> Session:
    """Exchange numbers of rows and salts. ``allowed`` bounds what the peer may bring."""
    own_salt = secrets.token_hex(SALT_BYTES)
    theirs = _exchange(link, side, {"rows": rows, "salt": own_salt})
    peer_rows, peer_salt = theirs.get("rows"), theirs.get("salt")
    if not (
        type(peer_rows) is int and allowed[0] <= peer_rows <= allowed[1]
        and isinstance(peer_salt, str) and len(peer_salt) == 2 * SALT_BYTES and peer_salt != own_salt
    ):  # fmt: skip
        raise PeerDiffersError
    pair = [(rows, own_salt), (peer_rows, peer_salt)]
    first, second = pair if side == 0 else reversed(pair)
    salt = hashlib.sha256(f"{digest}:{first[1]}:{second[1]}".encode()).digest()
    return Session((first[0], second[0]), salt)


def part(link: Any) -> None:
    """Wait until both sides are done: neither takes its outcome and leaves the other waiting."""
    if link.all_gather(GOODBYE) != [GOODBYE] * 2:
        raise PeerDiffersError


def _exchange(link: Any, side: int, ours: dict[str, Any]) -> dict[str, Any]:
    said = link.all_gather(json.dumps(ours))
    theirs = said[1 - side]
    if len(theirs) > HELLO_CHARACTERS_MAX:
        raise PeerDiffersError
    try:
        read = json.loads(theirs)
    except ValueError:
        raise PeerDiffersError from None
    if not isinstance(read, dict):
        raise PeerDiffersError
    return read
