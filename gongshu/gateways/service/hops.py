"""Calls that arrive at a gateway which does not answer under their contract go one hop, to the one that does."""

from gongshu.base.site import Clock, Keys
from gongshu.gateways.adapters import messages, wire
from gongshu.gateways.types import Member

SKEW_SECONDS_MAX = 60.0
HOP, AT, ADDRESS, CERTIFICATE, PROOF = (
    b"x-gongshu-hop", b"x-gongshu-hop-at", b"x-gongshu-hop-address", b"x-gongshu-hop-certificate", b"x-gongshu-hop-proof"
)  # fmt: skip
OURS = frozenset({HOP, AT, ADDRESS, CERTIFICATE, PROOF})
NOT_PASSED_ON = OURS | {b"connection", b"content-length", b"host", b"transfer-encoding", b"keep-alive"}

Headers = list[tuple[bytes, bytes]]


class Hops:
    """Sends calls to other gateways, and knows those that came from one."""

    def __init__(self, name: str, keys: Keys, clock: Clock) -> None:
        """The clocks of two gateways may differ by at most ``SKEW_SECONDS_MAX``."""
        self._name, self._clock = name, clock
        self._secret = keys.secret(messages.HOP_SECRET)
        self._peers: dict[str, wire.Peer] = {}

    async def forward(  # noqa: PLR0917 - the parts of a call
        self, member: Member, method: str, target: str, headers: Headers, body: bytes, address: str, certificate: str,
        relay: wire.Relay,
    ) -> None:  # fmt: skip
        """Hand a call to ``member`` and its answer to ``relay``; ``Unreachable`` when there is none.

        ``address`` and ``certificate`` are the caller's, as this gateway believes them.
        """
        at = str(int(self._clock().timestamp()))
        proof = messages.hop_proof(
            self._secret, (self._name, member.name, at, method, target, address, certificate), body
        )
        passed = [(name, value) for name, value in headers if name not in NOT_PASSED_ON]
        passed += [
            (HOP, self._name.encode()), (AT, at.encode()), (ADDRESS, address.encode()),
            (CERTIFICATE, certificate.encode()), (PROOF, proof.encode()), (b"host", b"gateway"),
            (b"content-length", str(len(body)).encode()),
        ]  # fmt: skip
        head = f"{method} {target} HTTP/1.1\r\n".encode("latin-1")
        head += b"".join(name + b": " + value + b"\r\n" for name, value in passed) + b"\r\n"
        peer = self._peers.get(member.address)
        if peer is None:
            peer = self._peers[member.address] = wire.Peer(member.address)
        await peer.call(head, body, relay)

    def came_from(self, method: str, target: str, headers: Headers, body: bytes) -> tuple[str, str] | None:
        """Return the caller's address and certificate of a call that another gateway handed on; ``None`` when none did."""
        found = {name: value.decode("latin-1") for name, value in headers if name in OURS}
        if (
            found.keys() != OURS
            or not found[AT].isdigit()
            or abs(self._clock().timestamp() - int(found[AT][:12])) > SKEW_SECONDS_MAX
        ):
            return None
        parts = (found[HOP], self._name, found[AT], method, target, found[ADDRESS], found[CERTIFICATE])
        is_proved = messages.is_hop_proof(self._secret, parts, body, found[PROOF])
        return (found[ADDRESS], found[CERTIFICATE]) if is_proved else None

    def close(self) -> None:
        """Close the connections to others."""
        for peer in self._peers.values():
            peer.close()
