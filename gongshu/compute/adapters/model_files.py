"""What stands in an ONNX file, read without the runtime that would execute it: operators, domains, files beside it.

ONNX is Protocol Buffers; the few fields that matter are read by their numbers (onnx.proto3). Whatever is not well formed is
refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass

BYTES_MAX = 64 << 20
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MODEL_GRAPH, MODEL_OPSETS, MODEL_FUNCTIONS, OPSET_DOMAIN = 7, 8, 25, 1
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
NODE_ATTRIBUTE, NODE_OPERATOR, NODE_DOMAIN = 5, 4, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS, ATTRIBUTE_SPARSE = 5, 6, 10, 11, 22
TENSOR_EXTERNAL, TENSOR_LOCATION = 13, 14


class ModelUnreadable(Exception):  # noqa: N818 - somebody else's mistake, or an attack
    """The file is no model that may be served; the text says why."""


@dataclass(frozen=True)
class ModelParts:
    """The operators of a model."""

    operators: frozenset[str]


def read_parts(content: bytes) -> ModelParts:
    """Return what a model is made of. Raises ``ModelUnreadable`` for other domains, functions, subgraphs, outside data."""
    if len(content) > BYTES_MAX:
        raise ModelUnreadable("larger than 64 MiB")
    operators = set[str]()
    graphs = 0
    for number, value in _fields(memoryview(content)):
        if number == MODEL_FUNCTIONS:
            raise ModelUnreadable("functions")
        if number == MODEL_OPSETS:
            domains = [
                bytes(_bytes(inner)).decode() for place, inner in _fields(_bytes(value)) if place == OPSET_DOMAIN
            ]
            _check_domains(domains)
        if number == MODEL_GRAPH:
            graphs += 1
            operators |= _operators(_bytes(value))
    if graphs != 1:
        raise ModelUnreadable("no graph")
    return ModelParts(frozenset(operators))


def _operators(graph: memoryview) -> set[str]:
    found = set[str]()
    for number, value in _fields(graph):
        if number == GRAPH_NODE:
            found.add(_operator(_bytes(value)))
        elif number == GRAPH_INITIALIZER:
            _check_tensor(_bytes(value))
        elif number == GRAPH_SPARSE:
            raise ModelUnreadable("sparse tensors")
    return found


def _operator(node: memoryview) -> str:
    operator = ""
    for number, value in _fields(node):
        if number == NODE_OPERATOR:
            operator = bytes(_bytes(value)).decode()
        elif number == NODE_DOMAIN:
            _check_domains([bytes(_bytes(value)).decode()])
        elif number == NODE_ATTRIBUTE:
            for place, inner in _fields(_bytes(value)):
                if place in {ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS}:
                    raise ModelUnreadable("subgraphs")
                if place == ATTRIBUTE_SPARSE:
                    raise ModelUnreadable("sparse tensors")
                if place in {ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS}:
                    _check_tensor(_bytes(inner))
    return operator


def _check_tensor(tensor: memoryview) -> None:
    for number, value in _fields(tensor):
        if number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and value != 0):
            raise ModelUnreadable("data in another file")


def _check_domains(domains: list[str]) -> None:
    if not DOMAINS.issuperset(domains):
        raise ModelUnreadable("operators of another domain")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ModelUnreadable("not well formed")
    return value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field of a message."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            found, at = _varint(message, at)
            yield number, found
            continue
        if wire == BYTES:
            size, at = _varint(message, at)
        elif wire in {FIXED32, FIXED64}:
            size = 4 if wire == FIXED32 else 8
        else:
            raise ModelUnreadable("not well formed")
        if at + size > len(message):
            raise ModelUnreadable("not well formed")
        yield number, message[at : at + size] if wire == BYTES else 0
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ModelUnreadable("not well formed")
