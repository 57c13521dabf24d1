"""Check digits, with the vectors of the reference and the wrong neighbours of each."""

import pytest

from gongshu.base.identifiers import (
    credit_check_character,
    id_card_check_character,
    is_bank_card,
    is_credit_code,
    is_id_card,
    organisation_check_character,
)

CODES = [
    "91350000MA0000000F", "11450000MA0000001H", "12450000MA0000002H", "11450100MA0000003W", "91110000MA0000004X",
    "91370200MA0000005H", "91330300MA00000069",
]  # fmt: skip


@pytest.mark.parametrize("code", CODES)
def test_a_credit_code_with_the_right_check_character_passes(code):
    assert is_credit_code(code)
    assert credit_check_character(code[:-1]) == code[-1]


@pytest.mark.parametrize("code", [
    "91350000MA0000000X", "91350000MA000000F0", "91350000ma0000000F", "91350000MA0000000", "91350000MA0000000FF", "",
    "91350000MAI000000F", "91350000MA00000０0F",
])  # fmt: skip
def test_any_other_code_fails(code):
    assert not is_credit_code(code)


@pytest.mark.parametrize("code", CODES)
def test_the_codes_of_tests_can_belong_to_no_real_organisation(code):
    number = code[8:17]
    assert organisation_check_character(number[:-1]) != number[-1]


@pytest.mark.parametrize(
    ("body", "check"), [("D2143569", "X"), ("00000000", "0"), ("00000001", "9"), ("MA000000", "7")]
)
def test_the_check_digit_of_an_organisation_number(body, check):
    assert organisation_check_character(body) == check


@pytest.mark.parametrize(
    "number",
    ["999999190001010015", "999999200002290000", "999999199912311231", "99999919000101004X", "99999919000101004x"],
)
def test_an_id_number_with_the_right_check_and_a_real_date_passes(number):
    assert is_id_card(number)
    assert id_card_check_character(number[:-1]) == number[-1].upper()


@pytest.mark.parametrize("number", [
    "999999190001010016", "999999200102290008", "99999919000101001", "9999991900010100155", "X99999190001010015",
    "999999190013010018", "９99999190001010015", "",
])  # fmt: skip
def test_any_other_id_number_fails(number):
    assert not is_id_card(number)


def test_a_date_that_does_not_exist_fails_though_the_check_is_right():
    number = "999999200102290008"
    assert id_card_check_character(number[:-1]) == number[-1]
    assert not is_id_card(number)


@pytest.mark.parametrize("number", ["9999990000000006", "9999990000000000014", "0000000000000"])
def test_a_bank_card_number_that_passes_luhn(number):
    assert is_bank_card(number)


@pytest.mark.parametrize(
    "number", ["9999990000000007", "999999000006", "99999900000000000141", "999999000000000X", "", "９999990000000006"]
)
def test_a_bank_card_number_that_does_not(number):
    assert not is_bank_card(number)
