"""Making the artifact of a look-up, and answering calls from it. The gateway needs no database for it: one file, one key.

The artifact (``lookup.lmdb``) is a plain LMDB file of records of one length (see ``rules.lookups``), a header under 32 zero
bytes (the salt), and under 32 bytes of ones the enciphered lists of values. Beside it lies ``distribution.csv``: how many
subjects have which value, for those who review it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gongshu.base.site import Keys
from gongshu.compute.adapters.artifacts import ArtifactReader
from gongshu.compute.adapters.tags import Gathering, write_artifact, write_distribution
from gongshu.compute.rules import lookups
from gongshu.compute.rules.verification import artifact_key, key_field, normalise, salt_of, text_of
from gongshu.compute.types import LookupDefinition, VerificationDefinition
from gongshu.metering.types import ResultCode

LOOKUP_FILE, DISTRIBUTION_FILE = "lookup.lmdb", "distribution.csv"
LOOKUP_SECRET = "lookup"  # noqa: S105 - the name of a key, not a key
SALT_BYTES = 32
VALUES_MANY, VALUE_LONG = "lookup-values-many", "lookup-value-long"

missing_keys, record_bytes = lookups.missing_keys, lookups.record_bytes


@dataclass(frozen=True)
class Tagged:
    """What was made: rows of each file, or the code of why it was not."""

    rows: dict[str, int]
    subjects: int = 0
    failure: str = ""


class _Labels:
    """The different values of each tag, by the place at which they were first met."""

    def __init__(self, definition: LookupDefinition) -> None:
        self._definition = definition
        self._bounds = [lookups.bounds_of(output) or () for output in definition.outputs]
        self.found: list[dict[str, int]] = [{} for _ in definition.outputs]
        self.failure = ""

    def place(self, number: int, value: Any) -> int:
        """Return the place of a value; beyond the limits the look-up is no look-up, and ``failure`` says so."""
        output, found = self._definition.outputs[number], self.found[number]
        label = lookups.label_of(output, self._bounds[number], value)
        if label is None:
            return lookups.NOTHING
        place = found.get(label)
        if place is None:
            if len(label) > lookups.LABEL_CHARACTERS_MAX:
                self.failure = VALUE_LONG
                return lookups.NOTHING
            if len(found) >= self._definition.values_max:
                self.failure = VALUES_MANY
                return lookups.NOTHING
            place = found[label] = len(found)
        return place


def make_lookup(  # noqa: PLR0917 - what a look-up is made of
    definition: LookupDefinition, keys: Keys, plan_digest: str, batches: Iterator[list[tuple[Any, ...]]],
    units_min: int, place: Path,
) -> Tagged:  # fmt: skip
    """Make artifact and distribution in ``place/outbox`` of rows that hold the tags' columns, then those of the keys."""
    secret = keys.secret(LOOKUP_SECRET)
    salt = salt_of(secret, plan_digest)
    key = artifact_key(secret, salt)
    labels, gathering = _Labels(definition), Gathering(place, len(definition.outputs))
    try:
        gathering.add(_read_rows(definition, key, labels, batches), lookups.NOTHING)
        if labels.failure:
            return Tagged({}, failure=labels.failure)
        places, counted = _placed(definition, labels, gathering, units_min)
        values = [[""] * len(kept) for kept in places]
        for number, kept in enumerate(places):
            texts = list(labels.found[number])
            for old, new in kept.items():
                values[number][new] = texts[old]
        count = write_artifact(
            _entries(key, salt, values, places, gathering), place, place / "outbox" / LOOKUP_FILE
        )  # fmt: skip
        rows = (
            (output.name, values[number][new], counted[number][old])
            for number, output in enumerate(definition.outputs)
            for old, new in sorted(places[number].items(), key=lambda pair: pair[1])
        )
        listed = write_distribution(rows, place / "outbox" / DISTRIBUTION_FILE)
        return Tagged({LOOKUP_FILE: count, DISTRIBUTION_FILE: listed}, count - 2)
    finally:
        gathering.close()


def _read_rows(
    definition: LookupDefinition, key: bytes, labels: _Labels, batches: Iterator[list[tuple[Any, ...]]]
) -> Iterator[tuple[bytes, bytes, Sequence[int]]]:
    columns = tuple(dict.fromkeys(output.column for output in definition.outputs))
    where = [columns.index(output.column) for output in definition.outputs]
    for batch in batches:
        for row in batch:
            texts = [text_of(value) for value in row[len(columns) :]]
            forms = [
                normalise(part.data_type, text) if text is not None else ""
                for part, text in zip(definition.keys, texts, strict=True)
            ]
            if not all(forms):
                continue  # nobody could ask about it
            form = lookups.form_of(forms)
            places = [labels.place(number, row[at]) for number, at in enumerate(where)]
            if labels.failure:
                return
            yield lookups.record_name(key, form), lookups.record_key(key, form), places


def _placed(
    definition: LookupDefinition, labels: _Labels, gathering: Gathering, units_min: int
) -> tuple[list[dict[int, int]], list[list[int]]]:
    counted = [[0] * len(found) for found in labels.found]
    for _, _, places in gathering.each():
        for number, place in enumerate(places):
            if place != lookups.NOTHING:
                counted[number][place] += 1
    placed = [
        lookups.placing(output, list(labels.found[number]), counted[number], units_min)
        for number, output in enumerate(definition.outputs)
    ]
    return placed, counted


def _entries(
    key: bytes, salt: bytes, values: list[list[str]], places: list[dict[int, int]], gathering: Gathering
) -> Iterator[tuple[bytes, bytes]]:
    yield lookups.header_of(len(places), salt)
    for name, own_key, found in gathering.each():
        kept = [places[number].get(place, lookups.NOTHING) for number, place in enumerate(found)]
        yield name, lookups.seal(own_key, lookups.packed(kept), name)
    lists = json.dumps(values, ensure_ascii=False).encode()
    yield lookups.VALUES_KEY, lookups.seal(lookups.values_key(key), lists, lookups.VALUES_KEY)


# ---------------------------------------------------------------------------------------------------------- answers


def open_tags(
    path: Path, definition: LookupDefinition, keys: Keys
) -> Callable[[dict[str, str]], tuple[ResultCode, bytes]]:
    """Open a released artifact and return what answers calls from it: fields in, result and tags as JSON out.

    ``served``: there is a record. ``no_record``: there is none; the tags are then all ``null``, and the answer has the same
    length and takes the same steps. ``error``: a key field is blank (``missing_keys`` names it). The caller has checked the
    file's digest and the subject's consent.
    """
    reader, outputs = ArtifactReader(path), len(definition.outputs)
    header = reader.exact(lookups.HEADER_KEY)
    if header is None or len(header) < SALT_BYTES:
        raise ValueError("the file is no artifact of a look-up")
    key = artifact_key(keys.secret(LOOKUP_SECRET), header[:SALT_BYTES])
    lists = reader.exact(lookups.VALUES_KEY)
    if lists is None:
        raise ValueError("the file is no artifact of a look-up")
    values = json.loads(lookups.unseal(lookups.values_key(key), lists, lookups.VALUES_KEY))
    width = lookups.content_bytes_max(definition, values)
    fields = tuple((part.name, part.data_type) for part in definition.keys)
    decoy_key, decoy_name = lookups.record_key(key, b""), lookups.record_name(key, b"")
    decoy = lookups.seal(decoy_key, lookups.packed([lookups.NOTHING] * outputs), decoy_name)

    def answer(inputs: dict[str, str]) -> tuple[ResultCode, bytes]:
        form = lookups.subject_form(fields, inputs)
        if form is None:
            return ResultCode.ERROR, b""
        name, own_key = lookups.record_name(key, form), lookups.record_key(key, form)
        found = reader.exact(name)
        # Who is not there is answered from a record of its own: the same steps, the same length.
        sealed, own_key, name = (decoy, decoy_key, decoy_name) if found is None else (found, own_key, name)
        places = lookups.unpacked(lookups.unseal(own_key, sealed, name), outputs)
        content = lookups.content_of(definition, values, places).ljust(width)
        return (ResultCode.NO_RECORD if found is None else ResultCode.SERVED), content

    return answer


def subject_form(definition: LookupDefinition | VerificationDefinition, texts: dict[str, str]) -> bytes | None:
    """Return whom an input names, in the one form that consents are given for; ``None`` when a key field is blank."""
    if isinstance(definition, LookupDefinition):
        return lookups.subject_form([(key.name, key.data_type) for key in definition.keys], texts)
    key = key_field(definition)
    return lookups.subject_form([(key.name, key.data_type)], texts)
