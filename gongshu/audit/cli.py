"""``gongshu audit fsck`` and ``gongshu audit prove``."""

import sys
from pathlib import Path

from gongshu.audit import service
from gongshu.base.site import Site


def fsck(site: Site, handed_out: str = "") -> int:
    """Recompute the log from its entries, print what was found, and return 0 only when all is well."""
    report = service.fsck(site, handed_out)
    for fault in report.faults:
        print(f"{fault.where}: {fault.what}")
    state = "ok" if not report.faults else f"{len(report.faults)} faults"
    print(
        f"{report.size} entries in {report.checkpoints} checkpoints, {report.pending} pending, root {report.root}: {state}"
    )
    print(f"key: {service.public_key(site)}", file=sys.stderr)
    return 1 if report.faults else 0


def prove(site: Site, entry_id: str, out: Path | None = None) -> int:
    """Bring the log up to date and write the inclusion proof of an entry to ``out``, or to standard output."""
    service.integrate(site)
    proof = service.prove(site, entry_id)
    if out is None:
        print(service.proof_text(proof), end="")
    else:
        service.write_proof(proof, out)
    print(f"key: {service.public_key(site)}", file=sys.stderr)
    return 0
