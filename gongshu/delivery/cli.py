"""``gongshu copy trace``."""

import json
from pathlib import Path

import msgspec

from gongshu.access.types import Actor
from gongshu.base.site import Site
from gongshu.delivery import service


def trace(site: Site, actor: Actor, file: Path, *, as_json: bool) -> int:
    """Say whose copy a file is; returns 0 when a contract is named, 1 when the evidence is too weak."""
    found = service.trace_copy(site, actor, file)
    if as_json:
        named = found.named.contract if found.named else None
        print(json.dumps(msgspec.to_builtins(found) | {"named": named}, ensure_ascii=False))
        return 0 if found.named else 1
    print(f"product 产品 {found.product}: {found.rows_found} of {found.rows_in_file} rows found 找到的行")
    for one in found.evidence[:5]:
        share = f"{one.agreeing}/{one.compared}"
        within = f" within 在列内 {one.column}" if one.column else ""
        signed = " described 文件属性吻合" if one.is_described else ""
        print(f"  {one.contract}  in its order 次序相符 {share}  p ≤ 10^{one.log10_probability:.1f}{within}{signed}")
    if found.named is None:
        print(f"no contract is named: the bound is above 10^-{found.zeros_min} 证据不足，不指认任何合约")
        return 1
    print(f"copy of 属于合约 {found.named.contract}")
    return 0
