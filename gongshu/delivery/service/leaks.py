"""Whose copy is this? A file that was found somewhere is laid beside the copies of every contract."""

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO

from gongshu.access import service as access
from gongshu.access.types import SYSTEM, Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import Decision, Denied, Refused, decide
from gongshu.base.ids import ContractId, ProductId
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
        offered = products.tables_of_in(tx, None if actor == SYSTEM else actor.party)
        buyers = {product.id: products.buyers_of_in(tx, product.id) for product in offered}
    files: dict[str, list[ProductVersion]] = {}
    for product in offered:
        files.setdefault(product.artifact_sha256, []).append(product)
    zeros_min = site.parameters.number("egress.trace.zeros_min", site.today())
    traces = [found for made in files.values() if (found := _trace(site, made, buyers, leaked, zeros_min))]
    # Each file that its rows were found in was one more question: the bound holds for all of them together.
    traces = [_widened(trace, len(traces)) for trace in traces]
    best = min(traces, key=lambda trace: (_log10(trace), -trace.rows_found), default=None)
    decision: Decision[CopyTrace] = Denied((rules.COPY_UNKNOWN.because(),)) if best is None else decide(best)
    if best is not None:
        named = best.named
        subject = next(product.ref for product in offered if product.id == best.product)
        with site.db.transaction() as tx:
            audit.record(
                tx, site, actor=actor, action="copy.trace", subject=subject, decision=decision,
                facts={
                    "rows": str(best.rows_in_file), "found": str(best.rows_found),
                    "contract": str(named.contract) if named else "", "zeros": str(int(-_log10(best))),
                },
            )  # fmt: skip
    return decision.value_or_raise()


def _log10(trace: CopyTrace) -> float:
    return trace.evidence[0].log10_probability if trace.evidence else 0.0


def _widened(trace: CopyTrace, questions: int) -> CopyTrace:
    more = math.log10(questions)
    evidence = (
        replace(one, log10_probability=min(0.0, one.log10_probability + more)) for one in trace.evidence
    )  # fmt: skip
    return replace(trace, evidence=tuple(evidence))


def _trace(
    site: Site,
    made: list[ProductVersion],
    buyers: dict[ProductId, tuple[ContractId, ...]],
    leaked: Path,
    zeros_min: int,
) -> CopyTrace | None:
    """Lay the file beside one released table, of which several products may have been made."""
    path = site.home / "releases" / made[0].release_id / made[0].artifact_name
    if not path.is_file():
        return None
    matched = egress.match_rows(leaked, path)
    if len(matched.rows) < ROWS_MIN:
        return None
    product_of = {contract: product.id for product in made for contract in buyers[product.id]}
    evidence = egress.evidence_of(site.keys, made[0].artifact_sha256, tuple(product_of), matched) if product_of else ()
    product = product_of[evidence[0].contract] if evidence else made[0].id
    return CopyTrace(product, matched.found, len(matched.rows), evidence, zeros_min)


def trace_upload(site: Site, actor: Actor, name: str, content: BinaryIO) -> CopyTrace:
    """As ``trace_copy``, of a file that was sent. Of its name only the ending is used."""
    access.require(actor, Permission.OPERATE_PRODUCT_WRITE)
    suffix = Path(name).suffix.lower()
    with tempfile.TemporaryDirectory(dir=site.home, prefix="upload-") as folder:
        path = Path(folder) / f"leaked{suffix if suffix in SUFFIXES else '.csv'}"
        with path.open("wb") as file:
            copyfileobj(content, file)
        return trace_copy(site, actor, path)
