"""The tamper-evident log: every decision, also a refusal, in an RFC 6962 Merkle tree as C2SP tlog-tiles.

Entries hold names, digests, counts and decisions; never a data value. The log is also what traces are walked on:
each entry names its subject and the objects that the subject came from.
"""
