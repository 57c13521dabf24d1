"""Columns of texts as Arrow lays them out, so that a cipher runs over thousands of values at once. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

Places = np.ndarray[Any, np.dtype[np.int64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Texts:
    """Texts one after the other in UTF-8: row ``i`` is ``data[bounds[i]:bounds[i + 1]]``, and NULL unless ``known[i]``."""

    bounds: Places
    data: Bytes
    known: Truths

    @classmethod
    def of(cls, values: Sequence[str | None]) -> Self:
        """Return a column of these values."""
        texts = [(value or "").encode() for value in values]
        bounds = np.cumsum([0, *map(len, texts)], dtype=np.int64)
        known = np.array([value is not None for value in values], dtype=np.bool_)
        return cls(bounds, np.frombuffer(b"".join(texts), dtype=np.uint8), known)

    def values(self) -> list[str | None]:
        """Return the values."""
        data, bounds = self.data.tobytes(), self.bounds.tolist()
        return [
            data[start:end].decode() if known else None
            for start, end, known in zip(bounds, bounds[1:], self.known.tolist(), strict=False)
        ]

    def parts(self, rows_max: int) -> Iterator["Texts"]:
        """Give the column in parts of at most ``rows_max`` rows; they share its memory."""
        for first in range(0, len(self.known), rows_max):
            known = self.known[first : first + rows_max]
            yield Texts(self.bounds[first : first + len(known) + 1], self.data, known)


def by_length(texts: Texts) -> Iterator[tuple[Places, Bytes]]:
    """Give, for each length that occurs, the rows that have it and their bytes (``rows × length``). NULL is left out."""
    lengths = np.diff(texts.bounds)
    first = int(lengths[0]) if len(lengths) else 0
    if first and bool(texts.known.all()) and bool((lengths == first).all()):
        start, end = int(texts.bounds[0]), int(texts.bounds[-1])
        yield np.arange(len(lengths)), texts.data[start:end].reshape(-1, first)
        return
    for length in np.unique(lengths[texts.known]).tolist():
        rows = np.flatnonzero((lengths == length) & texts.known)
        if length == 0:
            yield rows, np.empty((len(rows), 0), dtype=np.uint8)
            continue
        windows = np.lib.stride_tricks.sliding_window_view(texts.data, length)
        yield rows, windows[texts.bounds[rows]]
