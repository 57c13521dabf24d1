"""Reads what a program wrote, in a cell of its own without any data, and writes it anew: nothing else goes on.

A file is what its declared name says or it is refused: tables hold plain columns, texts are printable, models are ONNX
that the checker accepts. Whatever a format could hide beside its content (metadata, spare bytes, descriptions) is not
copied. Pickles are refused by what they are, not by their name.
"""

import csv
import io
import json
import os
import pickletools
import resource
import sys
import unicodedata
from pathlib import Path
from typing import Any

from gongshu.compute.adapters.inside import walls

WRITTEN, CLEAN = Path("/job/written"), Path("/job/clean")
BATCH_ROWS = 50_000
COLUMNS_MAX = 1_000
NAME_CHARACTERS_MAX = 200
CELL_CHARACTERS_MAX = 10_000
PICKLE_STEPS_MIN = 3
ZIP = b"PK\x03\x04"
MODEL_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
ROW_KEEPING_OPERATORS = frozenset({"SVMClassifier", "SVMRegressor", "TfIdfVectorizer", "StringNormalizer"})
"""Their parameters are rows or words of the data that the model was trained on."""
TEXT_ATTRIBUTE_BYTES_MAX = 200
LINE_BREAKS = frozenset("\n\r\t")


class RefusedError(Exception):
    """The output is refused with this code."""


def is_pickle(content: bytes) -> bool:
    """Whether ``content`` is a pickle (of any protocol), or an archive as joblib and PyTorch write them."""
    if content.startswith(ZIP):
        return True
    steps, end = 0, 0
    try:
        for _operation, _argument, place in pickletools.genops(content):
            steps, end = steps + 1, place or 0
    except Exception:  # noqa: BLE001 - whatever it stumbles over: this is none
        # A joblib file is a pickle with arrays between its parts: it begins like one and goes on otherwise.
        return content[:1] == b"\x80" and content[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}
    return steps >= PICKLE_STEPS_MIN and (content[:1] == b"\x80" or end >= len(content.rstrip()) - 1)


def _plain(text: str, characters_max: int) -> str:
    """Return ``text`` when it holds no control, format or private character that a reviewer would not see."""
    if len(text) > characters_max:
        raise RefusedError("output-type-refused")
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn"} and character not in LINE_BREAKS:
            raise RefusedError("output-hidden-characters")
    return text


def copy_text(source: Path, target: Path, rows_max: int) -> dict[str, Any]:
    """Copy a text of at most ``rows_max`` lines."""
    try:
        text = source.read_bytes().decode()
    except UnicodeDecodeError:
        raise RefusedError("output-unreadable") from None
    if text.count("\n") > rows_max:
        raise RefusedError("rows-exceeded")
    target.write_bytes(_plain(text, len(text)).encode())
    return {"rows": text.count("\n") + (not text.endswith("\n") and bool(text))}


def _is_plain_type(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415

    tests = (
        types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_date, types.is_timestamp,
        types.is_string, types.is_large_string, types.is_string_view,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _plain_schema(schema: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import types  # noqa: PLC0415

    fields = []
    for one in schema:
        kind = one.type.value_type if types.is_dictionary(one.type) else one.type
        if not _is_plain_type(kind):
            raise RefusedError("output-type-refused")
        kind = pa.string() if types.is_large_string(kind) or types.is_string_view(kind) else kind
        fields.append(pa.field(_plain(one.name, NAME_CHARACTERS_MAX), kind))
    if not fields or len(fields) > COLUMNS_MAX or len({one.name for one in fields}) != len(fields):
        raise RefusedError("output-type-refused")
    return pa.schema(fields)


def copy_parquet(source: Path, target: Path, rows_max: int) -> dict[str, Any]:
    """Write the table anew, batch by batch, without metadata of the program."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        table = pq.ParquetFile(source)
        if table.metadata.num_rows > rows_max:
            raise RefusedError("rows-exceeded")
        schema, rows = _plain_schema(table.schema_arrow), 0
        with pq.ParquetWriter(target, schema, compression="zstd", store_schema=False) as writer:
            for batch in table.iter_batches(BATCH_ROWS):
                rows += batch.num_rows
                if rows > rows_max:
                    raise RefusedError("rows-exceeded")
                for column in batch.columns:
                    _plain_cells(column)
                columns = [c.cast(f.type) for c, f in zip(batch.columns, schema, strict=True)]
                writer.write_batch(pa.record_batch(columns, schema=schema))
    except (pa.ArrowException, OSError, ValueError, KeyError):
        raise RefusedError("output-unreadable") from None
    return {"rows": rows}


def _plain_cells(column: Any) -> None:
    from pyarrow import types  # noqa: PLC0415

    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        for text in column.unique().to_pylist():
            _plain(text or "", CELL_CHARACTERS_MAX)


def copy_csv(source: Path, target: Path, rows_max: int) -> dict[str, Any]:
    """Write the rows anew: one header, as many cells in each row, every cell as it was."""
    csv.field_size_limit(CELL_CHARACTERS_MAX)
    rows = -1
    try:
        with source.open(encoding="utf-8", newline="") as reader, target.open("w", encoding="utf-8", newline="") as out:
            writer, width = csv.writer(out, lineterminator="\n"), 0
            for cells in csv.reader(reader, strict=True):
                width = width or len(cells)
                if len(cells) != width or width > COLUMNS_MAX:
                    raise RefusedError("output-unreadable")
                writer.writerow([_plain(cell, CELL_CHARACTERS_MAX) for cell in cells])
                rows += 1
                if rows > rows_max:
                    raise RefusedError("rows-exceeded")
    except (csv.Error, UnicodeDecodeError):
        raise RefusedError("output-unreadable") from None
    if rows < 0:
        raise RefusedError("output-unreadable")
    return {"rows": rows}


def copy_model(source: Path, target: Path, _rows_max: int) -> dict[str, Any]:
    """Check a model, take out what is no part of the computation, and count what it holds."""
    import onnx  # noqa: PLC0415
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    try:
        model = onnx.load_model_from_string(source.read_bytes())
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError, RuntimeError, TypeError):
        raise RefusedError("output-not-onnx") from None
    measure = _measure_model(model)
    clean = onnx.ModelProto()
    clean.ir_version = model.ir_version
    clean.producer_name = "gongshu"
    clean.opset_import.extend(model.opset_import)
    clean.graph.CopyFrom(model.graph)
    clean.graph.doc_string, clean.graph.name = "", "model"
    _rename(clean.graph)
    del clean.graph.value_info[:]
    del clean.graph.metadata_props[:]
    for node in clean.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    clean.DiscardUnknownFields()
    target.write_bytes(clean.SerializeToString(deterministic=True))
    return {"rows": 0, "model": measure}


def _rename(graph: Any) -> None:
    """Number what is inside the model: names of nodes and values between them could say anything."""
    kept = {value.name for value in (*graph.input, *graph.output)}
    for name in kept:
        _plain(name, NAME_CHARACTERS_MAX)
    for value in (*graph.input, *graph.output):
        _plain(value.doc_string, NAME_CHARACTERS_MAX)
        del value.metadata_props[:]
    inner = [tensor.name for tensor in graph.initializer]
    inner += [name for node in graph.node for name in (*node.input, *node.output)]
    numbers = {name: f"v{place}" for place, name in enumerate(dict.fromkeys(n for n in inner if n and n not in kept))}
    for tensor in graph.initializer:
        tensor.name, tensor.doc_string = numbers.get(tensor.name, tensor.name), ""
    for node in graph.node:
        node.name = ""
        node.input[:] = [numbers.get(name, name) for name in node.input]
        node.output[:] = [numbers.get(name, name) for name in node.output]


def _measure_model(model: Any) -> dict[str, Any]:
    """Count operators and parameters; refuse other domains, functions, files beside the model, and kept rows."""
    from onnx import TensorProto  # noqa: PLC0415

    operators, numbers, texts = set(), 0, 0
    if model.functions or model.training_info or any(o.domain not in MODEL_DOMAINS for o in model.opset_import):
        raise RefusedError("output-operator-refused")
    if model.graph.sparse_initializer:
        raise RefusedError("output-operator-refused")
    tensors = list(model.graph.initializer)
    for node in model.graph.node:
        operators.add(node.op_type)
        if node.domain not in MODEL_DOMAINS or node.op_type in ROW_KEEPING_OPERATORS:
            raise RefusedError("output-operator-refused")
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs or attribute.sparse_tensors:
                raise RefusedError("output-operator-refused")
            tensors += [attribute.t] if attribute.HasField("t") else []
            tensors += list(attribute.tensors)
            numbers += len(attribute.floats) + len(attribute.ints)
            texts += len(attribute.strings)
            for text in (attribute.s, *attribute.strings):
                _plain(text.decode(), TEXT_ATTRIBUTE_BYTES_MAX)
    for tensor in tensors:
        if tensor.data_location == TensorProto.EXTERNAL:
            raise RefusedError("output-operator-refused")
        size = 1
        for length in tensor.dims:
            size *= length
        numbers += size
        texts += len(tensor.string_data)
        for text in tensor.string_data:
            _plain(text.decode(), TEXT_ATTRIBUTE_BYTES_MAX)
    return {"operators": sorted(operators), "numbers": numbers, "texts": texts}


COPIERS = {".txt": copy_text, ".parquet": copy_parquet, ".csv": copy_csv, ".onnx": copy_model}


def _copy(name: str, rows_max: int) -> dict[str, Any]:
    source = WRITTEN / name
    if source.stat().st_size == 0:
        raise RefusedError("output-missing")
    if is_pickle(source.read_bytes()):
        raise RefusedError("output-pickle")
    return COPIERS[source.suffix](source, CLEAN / name, rows_max)


def inspect(order: dict[str, Any]) -> dict[str, Any]:
    """Return what was found in each output, or the code of the first one that is refused and its name."""
    found: dict[str, Any] = {}
    for name in order["outputs"]:
        try:
            found[name] = _copy(name, order["rows_max"])
        except RefusedError as refused:
            return {"code": str(refused), "output": name}
        except MemoryError:
            return {"code": "memory-exceeded", "output": name}
        except Exception:  # noqa: BLE001 - whatever a hostile file brings about
            return {"code": "output-unreadable", "output": name}
    return {"outputs": found}


def main() -> None:
    """Answer one order on standard output."""
    order = json.loads(sys.stdin.buffer.read())
    walls.limit(
        cpu_seconds=order["cpu_seconds"], file_bytes=order["file_bytes"],
        space=(resource.RLIMIT_DATA, order["memory_bytes"]), is_alone=True,
    )  # fmt: skip
    for rules in order["rules"]:
        walls.load_filter(bytes.fromhex(rules))
    answer = io.StringIO()
    json.dump(inspect(order), answer)
    sys.stdout.write(answer.getvalue())
    sys.stdout.flush()
    os._exit(0)
