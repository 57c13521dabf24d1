"""Charges, monthly statements, and the split of income between supplier, treasury and operator."""
