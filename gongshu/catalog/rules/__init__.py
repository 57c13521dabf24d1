"""Decisions of the catalog: identifiers, column names, types, classification, quality, and who may do what."""
