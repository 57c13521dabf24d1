"""Governed compute: the SQL gate, job plans, engines, synthetic rows. Data that can be used and not seen.

Three lines of defence, each enough alone: the gate (``rules/``), the engine's own bound plan as second opinion, and
the child process that holds nothing but the governed projections (``adapters/``).
"""
