"""Two installations on one machine: a city's with its enterprises, a bank's with its loans. Neither shows its rows.

    python -m examples.joint FOLDER

Each has a home of its own under ``FOLDER``, its own people, and a worker of its own. The city asks how many of its
enterprises have a loan and how much is lent to them in all; the bank learns nothing of the answer.
"""
