"""What masks show, over Python values: written anew from the words of the specification, not from the SQL."""

import math
from typing import Any

from gongshu.policies.types import Mask, MaskKind

KEPT = {MaskKind.ID_CARD: (6, 4), MaskKind.PHONE: (3, 4), MaskKind.BANK_CARD: (0, 4)}
"""How many signs stay at the beginning and at the end; a value that would show whole is hidden whole."""


def worn(mask: Mask | None, value: Any) -> Any:
    """Return the value as it is seen under a mask."""
    if mask is None or value is None:
        return value
    if mask.kind in KEPT:
        first, last = KEPT[mask.kind]
        hidden = len(value) - first - last
        return value[:first] + "*" * hidden + value[-last:] if hidden > 0 else "*" * len(value)
    match mask.kind:
        case MaskKind.NAME:
            return value[:1] + "*" * max(len(value) - 1, 1)
        case MaskKind.MAILBOX:
            return f"{value[0]}***@{value.split('@')[1]}" if "@" in value else None
        case MaskKind.MONTH:
            return value.replace(day=1)
        case MaskKind.BAND:
            width = int(mask.parameter)
            return float(math.floor(float(value) / width) * width)
    raise AssertionError(f"the reference knows no {mask.kind}")
