"""The OpenAPI document of the gateway, for whoever calls it without our client. Made from the types that it answers with."""

from typing import Any

import msgspec

from gongshu.delivery import service
from gongshu.delivery.api.application import STATUS_OF, BulkAnswer, VerifyAnswer
from gongshu.delivery.types import ItemAnswer, Receipt

Json = dict[str, Any]

REFUSALS = {
    401: "Who calls is not known", 403: "Not what was agreed", 404: "No such product, task or address",
    409: "The request id was used for another call", 422: "The input is not right", 429: "Counts or rate are used up",
    500: "The look-up failed; not charged", 503: "Not now; nothing was charged. Retry-After says when",
}  # fmt: skip
_REF = "#/components/schemas/{name}"
_TEXT: Json = {"type": "string"}
_FIELDS: Json = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 200}}
_ITEMS: Json = {
    "type": "object", "required": ["items"],
    "properties": {
        "purpose": _TEXT,
        "items": {
            "type": "array", "minItems": 1,
            "items": {
                "type": "object", "required": ["id", "fields"],
                "properties": {"id": {"$ref": _REF.format(name="RequestId")}, "fields": _FIELDS, "consent": _TEXT},
            },
        },
    },
}  # fmt: skip


def _header(name: str, text: str, *, needed: bool = False, schema: Json | None = None) -> Json:
    return {"name": name, "in": "header", "required": needed, "description": text, "schema": schema or _TEXT}


_HEADERS = [
    _header("X-Request-Id", "New for each call, the same when a call is repeated", needed=True,
            schema={"$ref": _REF.format(name="RequestId")}),
    _header("X-Purpose", "A purpose of the contract; it may stand in the body instead"),
    _header("X-Consent", "Where the product needs it: the token of the subject's consent"),
    _header("X-Timestamp", "Signed calls: seconds since 1970"),
    _header("X-Nonce", "Signed calls: a fresh one each time", schema={"type": "string", "pattern": "^[A-Za-z0-9._-]{16,64}$"}),
]  # fmt: skip
_PRODUCT: Json = {"name": "product", "in": "path", "required": True, "schema": _TEXT}
_TASK: Json = {"name": "task", "in": "path", "required": True, "schema": _TEXT}


def _refused(*statuses: int) -> Json:
    return {
        str(status): {
            "description": REFUSALS[status],
            "content": {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}},
        }
        for status in statuses
    }


def _operation(  # noqa: PLR0917 - what an operation is
    name: str, title: str, body: Json | None, answer: Json, status: int = 200, media: str = "application/json"
) -> Json:  # fmt: skip
    made: Json = {
        "operationId": name, "summary": title, "security": [{"key": []}, {"signature": []}], "parameters": _HEADERS,
        "responses": {str(status): {"description": "Answered", "content": {media: {"schema": answer}}}}
        | _refused(*sorted(set(STATUS_OF.values()))),
    }  # fmt: skip
    return made if body is None else made | {
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}}
    }  # fmt: skip


def _paths() -> Json:
    answer, task = {"$ref": _REF.format(name="Answer")}, {"$ref": _REF.format(name="Task")}
    items = {"type": "array", "items": {"$ref": _REF.format(name="ItemAnswer")}}
    batch = {
        "type": "object",
        "required": ["code", "items"],
        "properties": {"code": {"type": "integer"}, "items": items},
    }
    file: Json = {"type": "string", "contentMediaType": "application/octet-stream"}
    found: Json = {}
    for action in sorted(service.ACTIONS):
        found[f"/v1/products/{{product}}/{action}"] = {
            "parameters": [_PRODUCT], "post": _operation(action, f"Call a product: {action}", _FIELDS, answer),
        }  # fmt: skip
    for action in sorted(service.FILE_ACTIONS):
        fetched = _operation(f"fetch-{action}", "Fetch the file, or go on with it", None, file, media="*/*")
        fetched["responses"] |= {"206": {"description": "A part"}, "416": {"description": "Beyond its end"}}
        found[f"/v1/products/{{product}}/{action}"]["get"] = fetched
    found["/v1/products/{product}/batch"] = {
        "parameters": [_PRODUCT], "post": _operation("batch", "Call a product for up to 1 000 items", _ITEMS, batch),
    }  # fmt: skip
    found["/v1/products/{product}/bulk"] = {
        "parameters": [_PRODUCT], "post": _operation("bulk", "Leave up to 100 000 items to be answered", _ITEMS, task, 202),
    }  # fmt: skip
    found["/v1/bulk/{task}"] = {
        "parameters": [_TASK], "get": _operation("task", "How far a task is", None, task),
        "delete": _operation("drop-task", "Drop a task", None, task),
    }  # fmt: skip
    lines = _operation(
        "results", "A line of JSON for each item that is done", None, _TEXT, media="application/x-ndjson"
    )
    found["/v1/bulk/{task}/results"] = {"parameters": [_TASK], "get": lines}
    for path, title in (("/healthz", "The process lives"), ("/readyz", "Calls can be served")):
        found[path] = {
            "get": {
                "operationId": path[1:],
                "summary": title,
                "security": [],
                "responses": {"200": {"description": title}},
            }
        }
    found["/readyz"]["get"]["responses"] |= _refused(503)
    return found


def _problem() -> Json:
    texts = {"type": "object", "required": ["zh", "en"], "properties": {"zh": _TEXT, "en": _TEXT}}
    reason = {
        "type": "object", "required": ["code", "ndi_code", "law", "what", "fix"],
        "properties": {"code": _TEXT, "ndi_code": {"type": "integer"}, "law": _TEXT, "what": texts, "fix": texts},
    }  # fmt: skip
    properties: Json = {
        "type": _TEXT, "title": _TEXT, "status": {"type": "integer", "enum": sorted(set(STATUS_OF.values()))}, "detail": _TEXT,
        "code": {"type": "string", "examples": sorted(service.NDI_CODES)},
        "ndi_code": {"type": "integer", "description": "The number of NDI-TR-2025-05"},
        "call": {"type": "string", "description": "The place of its usage record; empty when it has none"},
        "reasons": {"type": "array", "minItems": 1, "items": reason},
    }  # fmt: skip
    return {"type": "object", "required": sorted(properties), "properties": properties}


def gateway_document() -> Json:
    """Return the document: OpenAPI 3.1, current with the types and tables that the gateway runs on."""
    types = [VerifyAnswer, BulkAnswer, Receipt, ItemAnswer]
    _, schemas = msgspec.json.schema_components(types, ref_template=_REF)
    schemas["Answer"], schemas["Task"] = schemas.pop(VerifyAnswer.__name__), schemas.pop(BulkAnswer.__name__)
    schemas["Answer"]["properties"]["content"] = {"description": "What a product of another kind than verify says"}
    schemas |= {"Problem": _problem(), "RequestId": {"type": "string", "pattern": f"^{service.REQUEST_ID.pattern}$"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "gongshu gateway", "version": "1",
            "description": "Product calls. Words and numbers: docs/reference/gateway.md.",
        },
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "signature": {
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "GONGSHU-HMAC-SHA256 or GONGSHU-HMAC-SM3, Key=<key id>, Signature=<hexadecimal>",
                },
            },
        },
    }  # fmt: skip
