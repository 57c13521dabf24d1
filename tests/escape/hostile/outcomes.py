"""How a hostile statement that the gate permits may end. A refused one names the code of a reason instead."""

WITHHELD = "withheld"
"""It shows no group at all, in every neighbouring world."""
SAME = "same"
"""What it shows is the same whoever of two alike holds which secrets: codes, rows, their order, every number."""
APART = "apart"
"""It tells the victim from the rest, by itself over groups that are large enough: only numbers may differ."""
