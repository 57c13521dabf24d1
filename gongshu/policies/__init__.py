"""Column uses, masks and privacy units; usage policies of contracts and their decision point.

The specification is ``docs/explanation/column-uses.md``: what is not named is refused, and everybody below the
provider can only narrow.
"""
