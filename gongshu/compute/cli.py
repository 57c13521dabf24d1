"""``gongshu sql explain``: what the gate says of a statement."""

from gongshu.access.types import SYSTEM
from gongshu.base.decisions import Refused
from gongshu.base.ids import EntitlementId
from gongshu.base.site import Site
from gongshu.compute import service


def sql_explain(site: Site, entitlement_id: str, sql: str) -> int:
    """Print the decision with lineage and rewritten SQL, or every reason with its fix; return 0 only when permitted."""
    try:
        found = service.explain(site, SYSTEM, EntitlementId(entitlement_id), sql)
    except Refused as refused:
        for reason in refused.reasons:
            print(f"{reason.code}: {reason.what.zh} {reason.what.en}")
        return 1
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
