"""What keys open: contracts and products of the snapshot, read from its shards when the first call asks for them.

Starting, and following a new snapshot, costs the same for one contract and for a million. A shard that is not what the
signed head says opens nothing.
"""

import logging
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

import msgspec

from gongshu.base.ids import ContractId, KeyId
from gongshu.base.signing import read_header
from gongshu.delivery import adapters, rules
from gongshu.delivery.service.artifacts import source_of
from gongshu.delivery.service.signatures import opener_of
from gongshu.delivery.types import SnapshotContract, SnapshotHead, SnapshotProduct

log = logging.getLogger("gongshu.gateway")

SHARDS_KEPT_MAX = 4_096
OPEN_KEPT_MAX, PRODUCTS_KEPT_MAX = 200_000, 100_000


class Offered:
    """What all contracts of one product share, prepared when the first of them is opened."""

    __slots__ = ("batch_path", "bulk_path", "inputs", "names", "needs_consent", "path", "product", "source")

    def __init__(self, product: SnapshotProduct) -> None:
        """Prepare what every call to the product needs."""
        self.product, self.needs_consent = product, product.needs_consent
        self.inputs = rules.inputs_of(product.kind, product.definition)
        self.names = rules.names_of(self.inputs)
        self.source = source_of(product)
        self.path = f"/v1/products/{product.id}/{rules.ACTION_OF_KIND[product.kind]}"
        is_file = product.kind in rules.FILE_KINDS
        self.batch_path = "" if is_file else f"/v1/products/{product.id}/batch"
        self.bulk_path = "" if is_file else f"/v1/products/{product.id}/bulk"


class Opened:
    """What a key opens: one contract's product."""

    __slots__ = (
        "batch_path", "bulk_path", "contract", "fields", "inputs", "is_signing", "key", "names", "needs_consent",
        "networks", "path", "product", "source",
    )  # fmt: skip

    def __init__(self, contract: SnapshotContract, key: KeyId, offered: Offered | None) -> None:
        """Prepare what every call under the contract needs; without a product it is known and cannot be served."""
        self.contract, self.key = contract, key
        self.product = offered.product if offered is not None else None
        self.inputs = offered.inputs if offered is not None else ()
        self.names = offered.names if offered is not None else None
        self.source = offered.source if offered is not None else None
        self.path = offered.path if offered is not None else f"/v1/products/{contract.product}/verify"
        self.batch_path = offered.batch_path if offered is not None else f"/v1/products/{contract.product}/batch"
        self.bulk_path = offered.bulk_path if offered is not None else f"/v1/products/{contract.product}/bulk"
        self.needs_consent = offered is not None and offered.needs_consent
        self.is_signing = key in contract.signing_keys
        self.networks = tuple(ip_network(text) for text in contract.policy.addresses)
        self.fields = frozenset(contract.policy.fields)

    def is_agreed_address(self, address: str) -> bool:
        """Whether calls may come from ``address``; what is no address comes from nowhere that was agreed."""
        if not self.networks:
            return True
        try:
            found = ip_address(address)
        except ValueError:
            return False
        mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
        return any((mapped or found) in network for network in self.networks)


class Opening:
    """Finds what a key opens under the snapshot that was adopted last."""

    def __init__(self, home: Path) -> None:
        """Know nothing yet."""
        self._home = home
        self._head: SnapshotHead | None = None
        self._shards: dict[str, adapters.Shard] = {}
        self._opened: dict[bytes, Opened] = {}
        self._products: dict[str, Offered] = {}

    def adopt(self, head: SnapshotHead) -> None:
        """Open by ``head`` from now on; shards that it still names stay in memory."""
        before = self._head
        self._head = head
        if before is not None and before.shards == head.shards:
            return
        named = set(head.shards)
        self._shards = {digest: shard for digest, shard in self._shards.items() if digest in named}
        if before is None or (before.contracts, before.products) != (head.contracts, head.products):
            self._opened, self._products = {}, {}

    def contract_of(self, proof: bytes) -> ContractId | None:
        """Return the contract that the key of an ``Authorization`` header belongs to, whether or not its holder is proved."""
        signed = None if proof[:7].lower() == b"bearer " else read_header(proof.decode("ascii", "replace"))
        opener = proof[7:] if signed is None else opener_of(signed.key)
        try:
            opened = self.find(sha256(opener).digest())
        except adapters.SnapshotInvalid:
            return None
        return None if opened is None else opened.contract.id

    def find(self, key: bytes) -> Opened | None:
        """Return what the key with this SHA-256 opens, or ``None``; raise ``SnapshotInvalid`` when a shard is damaged."""
        opened = self._opened.get(key)
        if opened is not None or self._head is None:
            return opened
        raw = self._record(self._head.contracts, key)
        if raw is None:
            return None
        contract = adapters.contract_in(raw)
        opened = Opened(contract, contract.key_ids[key.hex()], self._product(contract.product))
        if len(self._opened) >= OPEN_KEPT_MAX:
            self._opened.clear()
        self._opened[key] = opened
        return opened

    def is_withdrawn(self, consent_id: str) -> bool:
        """Whether a consent was withdrawn; raise ``SnapshotInvalid`` when that shard is damaged."""
        if self._head is None:
            return True
        return self._record(self._head.consents, adapters.key_of_consent(consent_id)) is not None

    def _product(self, product_id: str) -> Offered | None:
        found = self._products.get(product_id)
        if found is None and self._head is not None:
            raw = self._record(self._head.products, adapters.key_of_product(product_id))
            found = None if raw is None else Offered(adapters.product_in(raw))
            if found is not None:
                if len(self._products) >= PRODUCTS_KEPT_MAX:
                    self._products.clear()
                self._products[product_id] = found
        return found

    def _record(self, digests: tuple[str, ...], key: bytes) -> msgspec.Raw | None:
        digest = digests[adapters.shard_of(key, len(digests))] if digests else ""
        if not digest:
            return None
        shard = self._shards.get(digest)
        if shard is None:
            try:
                shard = adapters.read_shard(self._home, digest)
            except adapters.SnapshotInvalid as invalid:
                log.error("a shard of the policy snapshot is not valid: %s", invalid)  # noqa: TRY400 - its kind says all
                raise
            if len(self._shards) >= SHARDS_KEPT_MAX:
                self._shards.pop(next(iter(self._shards)))
            self._shards[digest] = shard
        return shard.get(key)
