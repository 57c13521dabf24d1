"""Asks any route of the API document with the smallest request that has the right shape."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.testclient import TestClient

Schema = dict[str, Any]

# What a pattern asks for cannot be made up in general; these fit the patterns that the API document has.
BY_FORMAT = {
    "date": "2026-03-02",
    "date-time": "2026-03-02T09:00:00Z",
    "binary": "a,b\n1,2\n",
    "password": "Passw0rd!x",
}
TEXTS = ("none", "0", "a", "2026-03", "310000", "none-1", "0" * 64)


@dataclass(frozen=True)
class Operation:
    """One route of the document."""

    method: str
    path: str
    spec: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def permissions(self) -> tuple[str, ...]:
        declared = self.spec.get("x-permission", ())
        return (declared,) if isinstance(declared, str) else tuple(declared)

    @property
    def changes(self) -> bool:
        return self.method not in {"GET", "HEAD"}


def operations(document: dict[str, Any]) -> list[Operation]:
    return [
        Operation(method.upper(), path, spec)
        for path, methods in document["paths"].items()
        for method, spec in methods.items()
    ]


def value_of(schema: Schema, document: dict[str, Any]) -> Any:
    """Return the smallest value of a JSON schema."""
    if "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return value_of(found, document)
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return value_of(schema[choice][0], document)
    for fixed in ("const", "enum"):
        if fixed in schema:
            return schema[fixed][0] if fixed == "enum" else schema[fixed]
    match schema.get("type"):
        case "object":
            wanted = schema.get("required", ())
            return {name: value_of(schema["properties"][name], document) for name in wanted}
        case "array":
            if "prefixItems" in schema:
                return [value_of(item, document) for item in schema["prefixItems"]]
            return [value_of(schema.get("items", {}), document)] * schema.get("minItems", 0)
        case "integer" | "number":
            return max(schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1)
        case "boolean":
            return False
        case "string":
            return text_of(schema)
        case "null":
            return None
    return "none"


def text_of(schema: Schema) -> str:
    if schema.get("format") in BY_FORMAT:
        return BY_FORMAT[schema["format"]]
    pattern, least = schema.get("pattern", ""), schema.get("minLength", 0)
    for text in (*TEXTS, "x" * least):
        if len(text) >= least and len(text) <= schema.get("maxLength", 1000) and re.search(pattern, text):
            return text
    raise AssertionError(f"no text is known that fits {schema}; add one to TEXTS")


def ask(
    client: TestClient,
    operation: Operation,
    document: dict[str, Any],
    headers: dict[str, str],
    names: dict[str, str] | None = None,
) -> Any:
    """Send the smallest request that has the right shape and return the answer. ``names`` are ids for the path."""
    path, params = operation.path, {}
    for parameter in operation.spec.get("parameters", ()):
        value = (names or {}).get(parameter["name"]) or value_of(parameter["schema"], document)
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(value))
        elif parameter["in"] == "query" and (parameter.get("required") or parameter["name"] in (names or {})):
            params[parameter["name"]] = value if (names or {}).get(parameter["name"]) else quote(str(value))
    contents = operation.spec.get("requestBody", {}).get("content", {})
    body: dict[str, Any] = {}
    for kind, content in contents.items():
        value = value_of(content["schema"], document)
        if kind == "application/json":
            body["json"] = value
        else:
            body.update(form_of(value, content["schema"], document))
    query = "&".join(f"{name}={value}" for name, value in params.items())
    return client.request(operation.method, f"{path}?{query}" if query else path, headers=headers, **body)


def form_of(value: dict[str, Any], schema: Schema, document: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a form: files apart from fields."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    files, fields = [], {}
    for name, given in value.items():
        inner = schema["properties"][name]
        item = inner.get("items", inner)
        if item.get("format") == "binary" or "contentMediaType" in item:
            files.append((name, ("none.csv", BY_FORMAT["binary"].encode())))
        else:
            fields[name] = given
    return {"files": files, "data": fields}
