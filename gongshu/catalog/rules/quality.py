"""The profile and the quality report of a version, by the dimensions of GB/T 36344-2018."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from gongshu.catalog.types import Column, ColumnCounts, ColumnProfile, Dimension, Meaning, Proposal, QualityItem

UPDATE_CYCLES: dict[str, timedelta | None] = {
    "001": timedelta(days=1), "002": timedelta(days=1), "003": timedelta(days=7), "004": timedelta(days=31),
    "005": timedelta(days=92), "006": timedelta(days=184), "007": timedelta(days=366), "008": None, "009": None,
}  # fmt: skip
"""The longest time between two versions, by the update codes of NDI-TR-2025-06; ``None``: no promise."""
KEY_MEANINGS = (Meaning.CREDIT_CODE, Meaning.ID_CARD)
KEY_SHARE_MIN = 0.9  # distinct values per value: below, the column refers to things rather than naming the row's own


def failing_count(counts: ColumnCounts, meaning: Meaning) -> int:
    """Return how many values fail the check that belongs to ``meaning``; 0 where there is none."""
    return {
        Meaning.CREDIT_CODE: counts.values - counts.credit_codes,
        Meaning.ID_CARD: counts.values - counts.id_cards,
        Meaning.PHONE: counts.values - counts.phones,
        Meaning.BANK_CARD: counts.values - counts.bank_cards,
        Meaning.MAILBOX: counts.values - counts.mailboxes,
        Meaning.AMOUNT: counts.unparsed,
        Meaning.DATE: counts.implausible,
    }.get(meaning, 0)


def profile_of(counts: ColumnCounts, proposal: Proposal) -> ColumnProfile:
    """Return the profile of a column."""
    return ColumnProfile(
        column=counts.column, rows=counts.rows, null_count=counts.rows - counts.values, distinct_count=counts.distinct,
        length_min=counts.length_min, length_max=counts.length_max,
        failing_count=failing_count(counts, proposal.meaning), is_distinct_estimated=counts.is_distinct_estimated,
    )  # fmt: skip


def find_key(counts: tuple[ColumnCounts, ...], proposals: tuple[Proposal, ...]) -> str:
    """Return the column that names each row's own enterprise or person, or an empty string."""
    for column, proposal in zip(counts, proposals, strict=True):
        if proposal.meaning in KEY_MEANINGS and column.values and column.distinct >= KEY_SHARE_MIN * column.values:
            return column.column
    return ""


def _of_column(counts: ColumnCounts, proposal: Proposal, *, is_parsed: bool) -> list[QualityItem]:
    name, values = counts.column, counts.values
    items = [QualityItem(Dimension.COMPLETENESS, "value-present", name, counts.rows, counts.rows - values)]
    failing = failing_count(counts, proposal.meaning)
    checks: Mapping[Meaning, tuple[Dimension, str]] = {
        Meaning.CREDIT_CODE: (Dimension.ACCURACY, "credit-code-check-character"),
        Meaning.ID_CARD: (Dimension.ACCURACY, "id-number-check-character"),
        Meaning.BANK_CARD: (Dimension.ACCURACY, "bank-card-luhn"),
        Meaning.PHONE: (Dimension.NORMATIVITY, "phone-form"),
        Meaning.MAILBOX: (Dimension.NORMATIVITY, "mailbox-form"),
        Meaning.AMOUNT: (Dimension.NORMATIVITY, "amount-with-unit"),
        Meaning.DATE: (Dimension.ACCURACY, "date-plausible"),
    }
    if proposal.meaning in checks and (is_parsed or proposal.meaning is not Meaning.AMOUNT):
        dimension, rule = checks[proposal.meaning]
        items.append(QualityItem(dimension, rule, name, values, failing))
    items += [
        QualityItem(Dimension.NORMATIVITY, rule, name, values, found)
        for rule, found in (("no-formula", counts.formulas), ("no-outer-spaces", counts.padded))
        if found
    ]
    return items


def report(
    counts: tuple[ColumnCounts, ...], proposals: tuple[Proposal, ...], *, columns: tuple[Column, ...],
    rows_in: int, rows_quarantined: int, names_changed: int, key: str, files: int, previous: tuple[datetime, tuple[str, ...]] | None,
    update_cycle: str, now: datetime,
) -> tuple[QualityItem, ...]:  # fmt: skip
    """Return the quality report. ``previous`` is the time and the columns of the version before.

    Accessibility counts the files that were written and read back: a version with an unreadable file never comes
    into being.
    """
    names = tuple(column.column for column in counts)
    parsed = {column.derived_from for column in columns if column.derived_from}
    items = [
        QualityItem(Dimension.NORMATIVITY, "line-readable", "", rows_in, rows_quarantined),
        QualityItem(Dimension.NORMATIVITY, "column-name", "", len(names), names_changed),
        QualityItem(Dimension.ACCESSIBILITY, "file-readable", "", files, 0),
    ]
    if key:
        column = next(column for column in counts if column.column == key)
        repeats = column.values - column.distinct
        items.append(QualityItem(Dimension.CONSISTENCY, "key-unique", key, column.values, repeats))
    if previous is not None:
        made_at, names_before = previous
        missing = len(set(names_before) ^ set(names))
        items.append(
            QualityItem(
                Dimension.CONSISTENCY, "same-columns-as-before", "", len(set(names_before) | set(names)), missing
            )
        )
        cycle = UPDATE_CYCLES.get(update_cycle)
        if cycle is not None:
            items.append(QualityItem(Dimension.TIMELINESS, "within-update-cycle", "", 1, int(now - made_at > cycle)))
    for column, proposal in zip(counts, proposals, strict=True):
        items += _of_column(column, proposal, is_parsed=column.column in parsed)
    return tuple(items)
