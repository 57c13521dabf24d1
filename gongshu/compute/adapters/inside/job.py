"""``gongshu.job``: what a Python job reads and writes. The only things in its cell besides Python and the packages.

    from gongshu import job

    firms = job.polars("enterprise")
    job.write_table("by-region.parquet", firms.group_by("地区").len())

Relations and columns are those that the job declared; identifiers are pseudonyms that hold within this one job. Outputs
are the files that it declared, by name. The same program runs on synthetic rows and on real ones.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["arrow", "outputs", "pandas", "polars", "relations", "scan", "write_model", "write_table", "write_text"]

FOLDER = Path("/job")
COMPRESSION = "zstd"

Table: TypeAlias = Any
"""An Arrow table, a Polars frame or a pandas frame."""


def _manifest() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    return found


def relations() -> tuple[str, ...]:
    """Return the names of the relations that this job declared."""
    return tuple(_manifest()["relations"])


def outputs() -> tuple[str, ...]:
    """Return the names of the files that this job declared to write."""
    return tuple(_manifest()["outputs"])


def _path(kind: str, name: str) -> Path:
    known = _manifest()[kind]
    if name not in known:
        raise KeyError(f"{name!r} was not declared; declared are: {', '.join(known) or 'none'}")
    return FOLDER / known[name]


def arrow(relation: str) -> Any:
    """Return a relation as ``pyarrow.Table``."""
    import pyarrow.parquet  # noqa: PLC0415 - a job loads only what it uses

    return pyarrow.parquet.read_table(_path("relations", relation))


def polars(relation: str) -> Any:
    """Return a relation as ``polars.DataFrame``."""
    import polars as pl  # noqa: PLC0415

    return pl.read_parquet(_path("relations", relation))


def scan(relation: str) -> Any:
    """Return a relation as ``polars.LazyFrame``: only what a query needs is read."""
    import polars as pl  # noqa: PLC0415

    return pl.scan_parquet(_path("relations", relation))


def pandas(relation: str) -> Any:
    """Return a relation as ``pandas.DataFrame``."""
    import pandas as pd  # noqa: PLC0415

    return pd.read_parquet(_path("relations", relation))


def write_table(name: str, table: Table) -> None:
    """Write a declared table, as Parquet or CSV by its name. Numbers, texts, days and booleans; no lists, no binary."""
    path, made = _path("outputs", name), _arrow_of(table)
    if path.suffix == ".csv":
        import pyarrow.csv  # noqa: PLC0415

        pyarrow.csv.write_csv(made, path)
        return
    import pyarrow.parquet  # noqa: PLC0415

    pyarrow.parquet.write_table(made, path, compression=COMPRESSION)


def _arrow_of(table: Table) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if isinstance(table, pa.Table):
        return table
    if hasattr(table, "to_arrow"):  # Polars
        return table.to_arrow()
    return pa.Table.from_pandas(table, preserve_index=False)


def write_text(name: str, text: str) -> None:
    """Write a declared text, in UTF-8."""
    _path("outputs", name).write_text(text, encoding="utf-8")


def write_model(name: str, model: Any, features: Sequence[str] = ()) -> None:
    """Write a declared model as ONNX: an ONNX model, or a fitted scikit-learn one with the names of its features.

    A classifier gives ``label`` and ``probabilities``; each feature is an input of its own, a column of 32-bit numbers.
    """
    path = _path("outputs", name)
    if hasattr(model, "SerializeToString"):
        path.write_bytes(model.SerializeToString())
        return
    path.write_bytes(_converted(model, features).SerializeToString())


def _converted(model: Any, features: Sequence[str]) -> Any:
    from skl2onnx import convert_sklearn  # noqa: PLC0415
    from skl2onnx.common.data_types import FloatTensorType  # noqa: PLC0415
    from sklearn.base import is_classifier  # noqa: PLC0415

    width = len(features) or int(model.n_features_in_)
    options = {id(model): {"zipmap": False}} if is_classifier(model) else None
    made = convert_sklearn(model, initial_types=[("features", FloatTensorType([None, width]))], options=options)
    for feature in made.graph.input:
        if feature.name == "features":
            feature.doc_string = ", ".join(features)
    return made
