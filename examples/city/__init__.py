"""A city that does not exist: its registration files and its insured people, made from a seed.

Everything is checkable and nothing can be real: credit codes pass GB 32100 (MOD 31) around an organisation number
whose own check digit (GB 11714) is wrong; ID numbers pass MOD 11-2 under the area code 999999, which no place has;
telephone numbers begin with the area code 000.
"""

from examples.city.files import City, make_city

__all__ = ["City", "make_city"]
