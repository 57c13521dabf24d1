"""What is counted in a quarantined text, and the lines of it that a reviewer asks to see."""

import re
from pathlib import Path

from gongshu.egress.adapters.tables import identifiers_in
from gongshu.egress.types import Preview, TextMeasure

LINE_COLUMN = "line"
PACKED = re.compile(r"[A-Za-z0-9+/=_\-]{80,}")
"""A run of letters and digits that no word is: data packed as text (Base64, hexadecimal) looks like this."""


def is_text(name: str) -> bool:
    """Whether a file is one that texts are read from."""
    return name.endswith(".txt")


def measure_text(path: Path) -> TextMeasure | None:
    """Count lines, identifiers and packed runs in a text; ``None`` when it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return None
    identifiers: dict[str, int] = {}
    for line in lines:
        for kind in identifiers_in(line):
            identifiers[kind] = identifiers.get(kind, 0) + 1
    return TextMeasure(len(lines), identifiers, sum(len(PACKED.findall(line)) for line in lines))


def preview(path: Path, *, limit: int, offset: int) -> Preview:
    """Return ``limit`` lines of a text from ``offset`` on."""
    lines = path.read_text(encoding="utf-8").splitlines()
    after = str(offset + limit) if offset + limit < len(lines) else ""
    shown = tuple((line,) for line in lines[offset : offset + limit])
    return Preview(path.name, (LINE_COLUMN,), shown, len(lines), after)
