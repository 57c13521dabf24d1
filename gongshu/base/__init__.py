"""What every room shares: ids, digests, money, days, dated parameters, decisions, errors, paging.

Pure: nothing here reads a clock, draws a random number, opens a file or imports another room.
"""
