"""The page on calling a product names every code that the gateway may answer, with its number."""

import re
from pathlib import Path

from gongshu.delivery.rules import NDI_CODES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "gateway.md"


def test_the_page_lists_every_code_with_its_number():
    listed = {
        code: int(number)
        for codes, number in re.findall(r"^\| (`[^|]+`) \| (\d{5}) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
        for code in re.findall(r"`([a-z-]+)`", codes)
    }
    assert listed == NDI_CODES
