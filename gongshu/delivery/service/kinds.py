"""How each kind of product is answered: one opener per kind, and what of them is slow.

An opener checks and opens a released file and returns what answers calls from it: input fields in, ``Outcome`` out. It
keeps nothing of the input. What raises is logged by the name of its type and not charged.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from gongshu.base.ids import ContractId
from gongshu.base.site import Keys
from gongshu.compute import service as compute
from gongshu.delivery import rules
from gongshu.delivery.types import Outcome
from gongshu.metering.types import ResultCode
from gongshu.products.types import Definition, ProductKind

Answer = Callable[[dict[str, str]], Outcome]
"""Answers one call from an opened artifact. That of a slow kind is called from several threads at once."""


class BuyerAnswer(NamedTuple):
    """An artifact whose answers differ by buyer: ``of`` gives what answers the calls of one contract."""

    of: Callable[[ContractId], Answer]


Opener = Callable[[Path, Definition, Keys], Answer | BuyerAnswer]


SLOW_KINDS = frozenset({ProductKind.QUERY, ProductKind.TABLE, ProductKind.REPORT, ProductKind.INDEX, ProductKind.MODEL})
"""Kinds whose answers take more than some tens of microseconds: they run in threads beside the event loop."""

OUTCOMES = {result: Outcome(result) for result in ResultCode}


def open_verification(path: Path, definition: Definition, keys: Keys) -> Answer:
    """Answer with match, mismatch or no record, and nothing else."""
    verification = definition.verification
    if verification is None:
        raise ValueError("the product does not say what it verifies")
    look_up, outcomes = compute.open_lookup(path, verification, keys), OUTCOMES

    def answer(fields: dict[str, str]) -> Outcome:
        result = look_up(fields)
        return outcomes[result] if result is not ResultCode.ERROR else _blank(fields)

    def _blank(fields: dict[str, str]) -> Outcome:
        """The input turned out blank once it was normalised; or else it is our fault."""
        blank = compute.missing_fields(verification, fields)
        names = [field.name for field in verification.fields if field.name in blank]
        reasons = tuple(rules.CALL_FIELD_MISSING.because(field=name) for name in names)
        return Outcome(ResultCode.REFUSED, reasons=reasons) if reasons else outcomes[ResultCode.ERROR]

    return answer


def open_lookup(path: Path, definition: Definition, keys: Keys) -> Answer:
    """Answer with tags of the subject as JSON; of one who is not there with as many bytes of nothing."""
    lookup = definition.lookup
    if lookup is None:
        raise ValueError("the product does not say what it looks up")
    ask = compute.open_tags(path, lookup, keys)

    def answer(fields: dict[str, str]) -> Outcome:
        result, content = ask(fields)
        if result is ResultCode.ERROR:
            blank = compute.missing_keys(lookup, fields)
            return Outcome(ResultCode.REFUSED, reasons=tuple(rules.CALL_FIELD_MISSING.because(field=n) for n in blank))
        return Outcome(result, content)

    return answer


OPENERS: Mapping[ProductKind, Opener] = {ProductKind.VERIFY: open_verification, ProductKind.LOOKUP: open_lookup}
