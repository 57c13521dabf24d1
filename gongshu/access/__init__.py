"""Who may do what at all: actors, permissions, and the one table of roles. No tables of its own.

``access`` answers "may somebody in this role do this kind of thing"; whether it is possible now is the business of
the rules of each room; whether a use of data is allowed is the business of ``policies``.
"""
