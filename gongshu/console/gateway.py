"""A call to the gateway, made for a person who tries it in the browser. The key passes through and is not kept."""

from dataclasses import dataclass
from typing import Any

import httpx

from gongshu.base.decisions import Kind, Refused, rule

GATEWAY_SECONDS_MAX = 10.0

GATEWAY_UNREACHABLE = rule(
    "gateway-unreachable", Kind.UNAVAILABLE, zh="网关目前无法访问。", en="The gateway cannot be reached now.",
    fix_zh="请确认网关进程（gongshu gateway）正在运行，稍后重试。",
    fix_en="Make sure that the gateway (gongshu gateway) is running, and try again.",
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What the gateway said: a result with its receipt, or the code and both sentences of a refusal."""

    http_status: int
    result: str
    receipt: dict[str, Any]
    code: str
    what: dict[str, str]
    fix: dict[str, str]
    content: dict[str, Any]


def call(
    address: str, product: str, action: str, *, secret: str, purpose: str, request_id: str, fields: dict[str, str],
    consent: str = "",
) -> Answer:  # fmt: skip
    """Make one call; refused with ``gateway-unreachable`` when nothing answers."""
    headers = {"Authorization": f"Bearer {secret}", "X-Purpose": purpose, "X-Request-Id": request_id}
    headers |= {"X-Consent": consent} if consent else {}
    url = f"{address}/v1/products/{product}/{action}"
    try:
        response = httpx.post(url, json=fields, headers=headers, timeout=GATEWAY_SECONDS_MAX)
        return read(response)
    except (httpx.HTTPError, ValueError) as error:
        raise Refused((GATEWAY_UNREACHABLE.because(),)) from error


def read(response: httpx.Response) -> Answer:
    """Read what the gateway said; ``ValueError`` when it is no JSON."""
    body = response.json()
    first = (body.get("reasons") or [{}])[0]
    code, content = body.get("code", ""), body.get("content")
    return Answer(
        response.status_code, str(body.get("result", "")), body.get("receipt") or {}, str(code),
        first.get("what", {}), first.get("fix", {}), content if isinstance(content, dict) else {},
    )  # fmt: skip
