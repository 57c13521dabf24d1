"""Worked examples that ship with gongshu."""
