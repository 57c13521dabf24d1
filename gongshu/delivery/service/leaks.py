"""Whose copy is this? A file that was found somewhere is laid beside the copies of every contract."""

import tempfile
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO

from gongshu.access import service as access
from gongshu.access.types import SYSTEM, Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import Decision, Denied, Refused, decide
from gongshu.base.ids import ContractId
from gongshu.base.site import Site
from gongshu.delivery import rules
from gongshu.egress import service as egress
from gongshu.egress.types import CopyTrace
from gongshu.products import service as products
from gongshu.products.types import ProductVersion

ROWS_MIN = 2
SUFFIXES = {".csv", ".parquet", ".xlsx"}


def trace_copy(site: Site, actor: Actor, leaked: Path) -> CopyTrace:
    """Return whose copy a file is, among the contracts of the actor's organisation, with the bound of being wrong.

    Of the products that hold its rows the one with the most is looked at. The log keeps counts and ids, no value.
    """
    if actor != SYSTEM:
        access.require(actor, Permission.OPERATE_PRODUCT_WRITE)
    if leaked.suffix.lower() not in SUFFIXES:
        raise Refused((rules.COPY_FORMAT_UNKNOWN.because(),))
    with site.db.reading() as tx:
        candidates = products.tables_of_in(tx, None if actor == SYSTEM else actor.party)
        buyers = {product.id: products.buyers_of_in(tx, product.id) for product in candidates}
    zeros_min = site.parameters.number("egress.trace.zeros_min", site.today())
    traces = [
        (product, found) for product in candidates if (found := _trace(site, product, buyers[product.id], leaked, zeros_min))
    ]  # fmt: skip
    best = max(traces, key=lambda pair: pair[1].rows_found, default=None)
    decision: Decision[CopyTrace] = (
        Denied((rules.COPY_UNKNOWN.because(),)) if best is None else decide(best[1])
    )  # fmt: skip
    if best is not None:
        product, trace = best
        named = trace.named
        with site.db.transaction() as tx:
            audit.record(
                tx, site, actor=actor, action="copy.trace", subject=product.ref, decision=decision,
                facts={
                    "rows": str(trace.rows_in_file), "found": str(trace.rows_found),
                    "contract": str(named.contract) if named else "", "zeros": str(_zeros(trace)),
                },
            )  # fmt: skip
    return decision.value_or_raise()


def _zeros(trace: CopyTrace) -> int:
    return int(-trace.evidence[0].log10_probability) if trace.evidence else 0


def _trace(
    site: Site, product: ProductVersion, buyers: tuple[ContractId, ...], leaked: Path, zeros_min: int
) -> CopyTrace | None:
    path = site.home / "releases" / product.release_id / product.artifact_name
    if not path.is_file():
        return None
    matched = egress.match_rows(leaked, path)
    if len(matched.rows) < ROWS_MIN:
        return None
    evidence = egress.evidence_of(site.keys, product.artifact_sha256, buyers, matched) if buyers else ()
    return CopyTrace(product.id, matched.found, len(matched.rows), evidence, zeros_min)


def trace_upload(site: Site, actor: Actor, name: str, content: BinaryIO) -> CopyTrace:
    """As ``trace_copy``, of a file that was sent. Of its name only the ending is used."""
    access.require(actor, Permission.OPERATE_PRODUCT_WRITE)
    suffix = Path(name).suffix.lower()
    with tempfile.TemporaryDirectory(dir=site.home, prefix="upload-") as folder:
        path = Path(folder) / f"leaked{suffix if suffix in SUFFIXES else '.csv'}"
        with path.open("wb") as file:
            copyfileobj(content, file)
        return trace_copy(site, actor, path)
