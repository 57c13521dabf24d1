"""``gongshu sql explain``: what the gate says of a statement."""

from dataclasses import asdict
from typing import Any

from gongshu.access.types import SYSTEM
from gongshu.base.decisions import Refused
from gongshu.base.digest import canonical_json
from gongshu.base.ids import EntitlementId
from gongshu.base.site import Site
from gongshu.compute import service
from gongshu.compute.types import Explanation


def _told(found: Explanation) -> dict[str, Any]:
    reasons = [
        {"code": r.code, "what": asdict(r.what), "fix": asdict(r.fix), "facts": dict(r.facts)} for r in found.reasons
    ]
    query = found.query
    return {
        "permitted": found.permitted, "query": query, "reasons": reasons, "open_lineage": dict(found.open_lineage),
    }  # fmt: skip


def sql_explain(site: Site, entitlement_id: str, sql: str, *, as_json: bool = False) -> int:
    """Print the decision with lineage and rewritten SQL, or every reason with its fix; return 0 only when permitted.

    ``as_json`` prints everything as one object, with the lineage as facets of OpenLineage.
    """
    try:
        found = service.explain(site, SYSTEM, EntitlementId(entitlement_id), sql)
    except Refused as refused:
        for reason in refused.reasons:
            print(f"{reason.code}: {reason.what.zh} {reason.what.en}")
        return 1
    if as_json:
        print(canonical_json(_told(found)).decode())
        return 0 if found.permitted else 1
    if found.query is None:
        print("refused 不予许可")
        for reason in found.reasons:
            print(f"- {reason.code}: {reason.what.zh} {reason.what.en}")
            print(f"  → {reason.fix.zh} {reason.fix.en}")
        return 1
    print("permitted 许可")
    for line in found.query.lineage:
        indirect = f"  (indirect: {', '.join(sorted(line.indirect))})" if line.indirect else ""
        print(f"- {line.output} ← {', '.join(sorted(line.direct)) or '—'}{indirect}")
    for projection in found.query.projections:
        shown = [*projection.columns, *(f"hash({name})" for name in projection.keys), *projection.raws]
        print(f"reads {projection.relation}: {', '.join(shown) or '—'}")
    for stage in found.query.stages:
        print(f"\n-- {stage.name}\n{stage.sql};")
    print(f"\n{found.query.sql};")
    return 0
