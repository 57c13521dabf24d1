"""From a refusal to HTTP (RFC 9457) and to an exit code. No other file knows a status code of a refusal."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gongshu.base.decisions import Kind, Reason, rule

STATUS_OF: dict[Kind, int] = {
    Kind.INVALID: 422,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.LIMIT_EXCEEDED: 429,
    Kind.UNAVAILABLE: 503,
    Kind.INTERNAL: 500,
}

EXIT_CODE_OF: dict[Kind, int] = {kind: 10 + place for place, kind in enumerate(Kind)}

SIGN_IN_NEEDED = rule(
    "sign-in-needed", Kind.UNAUTHENTICATED, zh="请先登录。", en="Please sign in first.",
    fix_zh="登录后重试；接口调用请使用个人令牌。", fix_en="Sign in and try again; over the API, send a personal token.",
)  # fmt: skip
FIELD_INVALID = rule(
    "field-invalid", Kind.INVALID, zh="字段 {field} 不符合要求：{problem}。", en="The field {field} is not valid: {problem}.",
    fix_zh="请按接口说明修改该字段。", fix_en="Change the field as the API document says.",
)  # fmt: skip
CSRF_MISSING = rule(
    "csrf-token-missing", Kind.FORBIDDEN, zh="页面令牌缺失或已失效，操作未执行。",
    en="The page's token is missing or out of date; nothing was done.",
    fix_zh="请刷新页面后重试。", fix_en="Reload the page and try again.",
)  # fmt: skip
ROUTE_UNKNOWN = rule(
    "route-unknown", Kind.NOT_FOUND, zh="没有这个地址或方法。", en="There is no such address or method.",
    fix_zh="请核对地址；接口清单见 /api/v1/openapi.json。", fix_en="Check the address; /api/v1/openapi.json lists all.",
)  # fmt: skip
BODY_TOO_LARGE = rule(
    "body-too-large", Kind.INVALID, zh="请求内容超过 {bytes_max} 字节。",
    en="The request is larger than {bytes_max} bytes.",
    fix_zh="请减小内容；文件请用上传接口。", fix_en="Send less; use the upload route for files.",
)  # fmt: skip
BODY_UNREADABLE = rule(
    "body-unreadable", Kind.INVALID, zh="请求内容无法解析。", en="The request's content cannot be read.",
    fix_zh="请按接口说明的格式（JSON 或表单）发送，编码为 UTF-8。",
    fix_en="Send it in the format of the API document (JSON or form), in UTF-8.",
)  # fmt: skip
NUL_SENT = rule(
    "nul-sent", Kind.INVALID, zh="请求中含有空字符（NUL）。", en="The request holds the character NUL.",
    fix_zh="请去掉该字符后重试。", fix_en="Leave the character out.",
)  # fmt: skip

_WEIGHT = (
    Kind.INTERNAL, Kind.UNAVAILABLE, Kind.UNAUTHENTICATED, Kind.NOT_FOUND, Kind.FORBIDDEN, Kind.INVALID, Kind.CONFLICT,
    Kind.LIMIT_EXCEEDED,
)  # fmt: skip
"""Which kind decides when there are several: whoever may not do it at all is told so first."""


def leading_kind(reasons: tuple[Reason, ...]) -> Kind:
    """Return the kind of the reasons that decides the status."""
    return min((reason.rule.kind for reason in reasons), key=_WEIGHT.index, default=Kind.INTERNAL)


def problem(reasons: tuple[Reason, ...], *, instance: str) -> dict[str, Any]:
    """Return the RFC 9457 object: ``code`` of the reason that decides, ``reasons`` with all of them in both languages."""
    kind = leading_kind(reasons)
    first = next(reason for reason in reasons if reason.rule.kind is kind)
    return {
        "type": f"/docs/reasons#{first.code}",
        "title": first.what.en,
        "status": STATUS_OF[kind],
        "detail": first.what.zh,
        "instance": instance,
        "code": first.code,
        "reasons": [
            {
                "code": reason.code,
                "kind": reason.rule.kind.value,
                "law": reason.rule.law,
                "what": {"zh": reason.what.zh, "en": reason.what.en},
                "fix": {"zh": reason.fix.zh, "en": reason.fix.en},
                "facts": dict(reason.facts),
            }
            for reason in reasons
        ],
    }


def problem_response(request: Request, reasons: tuple[Reason, ...]) -> Response:
    """Return the problem as ``application/problem+json``."""
    body = problem(reasons, instance=request.url.path)
    headers = {"WWW-Authenticate": "Bearer"} if body["status"] == STATUS_OF[Kind.UNAUTHENTICATED] else None
    return JSONResponse(body, body["status"], headers=headers, media_type="application/problem+json")
