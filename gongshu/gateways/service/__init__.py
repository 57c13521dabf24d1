"""What the room offers: the registry of gateways, the control plane's side, and a gateway's own side."""

from gongshu.gateways.adapters.messages import MessageInvalid, boot_seconds, public_key_of, signer_of
from gongshu.gateways.adapters.wire import BrokenOff, Unreachable
from gongshu.gateways.rules import (
    CONTRACT_ELSEWHERE,
    CONTRACT_MOVING,
    CONTROL_NEEDED,
    GATEWAY_UNKNOWN,
    LEASE_ENDED,
    PEER_AWAY,
    owner_of,
)
from gongshu.gateways.service.control import Control
from gongshu.gateways.service.hops import Hops
from gongshu.gateways.service.membership import Membership
from gongshu.gateways.service.registry import (
    gateway_key,
    is_spread,
    list_gateways,
    register_gateway,
    write_off_gateway,
)

__all__ = [
    "CONTRACT_ELSEWHERE",
    "CONTRACT_MOVING",
    "CONTROL_NEEDED",
    "GATEWAY_UNKNOWN",
    "LEASE_ENDED",
    "PEER_AWAY",
    "BrokenOff",
    "Control",
    "Hops",
    "Membership",
    "MessageInvalid",
    "Unreachable",
    "boot_seconds",
    "gateway_key",
    "is_spread",
    "list_gateways",
    "owner_of",
    "public_key_of",
    "register_gateway",
    "signer_of",
    "write_off_gateway",
]
