"""Detection of personal data among look-alikes; scrubbing a scrubbed text changes nothing, and time is linear."""

import time

import phonenumbers as numbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.personal_texts import Maker
from transforms.pages.ip_addresses import is_public
from transforms.pages.personal_data import STAND_INS, scrubbed
from transforms.pages.phone_and_card_numbers import passes_luhn

MADE = 900  # texts of each kind
KINDS = ("email", "card", "ip", "phone")


@pytest.mark.parametrize(
    ("text", "expected", "counts"),
    [
        ("Write to jo.do+x@mail.co.uk.", "Write to email@example.com.", {"email": 1}),
        ("<a_b@c-d.org>, <jörg@bücher.de>", "<email@example.com>, <email@example.com>", {"email": 2}),
        ("user@example.com, x@mail.example.org, a@b.test, getty@tty1.service", None, {}),
        ("me@localhost, @decorator.call, a@b, 3@4.5, me@x..org", None, {}),
        ("from 212.94.201.10/24 or 130.89.148.77.", "from 192.0.2.1/24 or 192.0.2.1.", {"ip": 2}),
        ("127.0.0.1, 10.1.1.1, 192.168.0.1, 192.0.2.7, 224.0.0.1, 300.1.1.1, 212.94.201.010", None, {}),
        ("SQLite 3.7.16.2, section 6.1.2.3, v212.94.201.10, 212.94.201.10.5", None, {}),
        ("at [2603:400a:ffff:bb8::801f:3e]:80", "at [2001:db8::1]:80", {"ip": 1}),
        ("12:30:59, std::abs, dead::beef, fe80::1, 2001:db8::7, ::1", None, {}),
        ("pay 4111 1111 1111 1111 or 4111111111111111", f"pay {STAND_INS['card']} or {STAND_INS['card']}", {"card": 2}),
        ("amex 3782-822463-10005", f"amex {STAND_INS['card']}", {"card": 1}),
        ("4111 1111 1111 1112, 20180609224913, 466644576 451332520, 0000 0000 0000 0000, 4111 11111111 1111", None, {}),
        ("call +44 117 496 0123 now", f"call {STAND_INS['phone']} now", {"phone": 1}),
        ("call 0117 496 0123 or +1 202-555-0147, 1 + 2147483647", None, {}),
    ],
)
def test_what_is_replaced(text: str, expected: str | None, counts: dict[str, int]) -> None:
    assert scrubbed(text, KINDS) == (expected or text, counts)


def test_each_kind_can_be_switched_off_and_a_region_widens_phones() -> None:
    text = "jo@mail.org 4111 1111 1111 1111 212.94.201.10 +44 117 496 0123"
    assert scrubbed(text, KINDS)[1] == dict.fromkeys(KINDS, 1)
    for kind in KINDS:
        assert scrubbed(text, [kind])[1] == {kind: 1}
    assert scrubbed(text, ()) == (text, {})
    assert scrubbed("call 0117 496 0123", KINDS, "GB") == (f"call {STAND_INS['phone']}", {"phone": 1})


def test_public_and_luhn() -> None:
    assert [is_public(a) for a in ("212.94.201.10", "8.8.8.8", "x", "2a00::1", "fd00::1")] == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert passes_luhn("79927398713")
    assert not passes_luhn("79927398710")


def share_wrong(kind: str, personal: bool, region: str | None) -> tuple[float, list[str]]:
    """Return the share of generated texts that are judged wrongly, and up to nine of them."""
    made = list(Maker(7, region).made(kind, personal, MADE))
    phone_region = region if kind == "phone" else None
    wrong = [
        text
        for text, data in made
        if (data in scrubbed(text, [kind], phone_region)[0] if data else scrubbed(text, [kind], phone_region)[1])
    ]
    return len(wrong) / len(made), wrong[:9]


KINDS_BY_REGION = [
    ("email", None),
    ("ip", None),
    ("card", None),
    *(("phone", r) for r in (None, "US", "GB", "DE", "FR")),
]


@pytest.mark.parametrize(("kind", "region"), KINDS_BY_REGION)
def test_lookalikes_of_personal_data_are_kept(kind: str, region: str | None) -> None:
    share, examples = share_wrong(kind, False, region)
    assert share <= 0.005, examples


@pytest.mark.parametrize(("kind", "region"), KINDS_BY_REGION)
def test_personal_data_is_found_in_many_places(kind: str, region: str | None) -> None:
    share, examples = share_wrong(kind, True, region)
    assert share <= 0.02, examples


EXAMPLES = {
    numbers.format_number(number, form)
    for region in ("AT", "AU", "CH", "ES", "IN", "IT", "JP", "NL", "NO", "PL", "RU", "SG")
    for kind in (numbers.PhoneNumberType.FIXED_LINE, numbers.PhoneNumberType.MOBILE)
    for number in [numbers.example_number_for_type(region, kind)]
    for form in (numbers.PhoneNumberFormat.NATIONAL, numbers.PhoneNumberFormat.INTERNATIONAL)
}


def test_numbers_of_other_countries_and_their_dates() -> None:
    left = []
    for region in ("AT", "AU", "CH", "ES", "IN", "IT", "JP", "NL", "NO", "PL", "RU", "SG"):
        found = [form for form in EXAMPLES if scrubbed(f"Tel. {form}", ["phone"], region)[1]]
        assert len(found) >= 24, f"its own and all with a +: {region}"
        left += [t for t, _ in Maker(8).made("phone", False, 90) if scrubbed(t, ["phone"], region)[1]]
    assert len(left) <= 5, left


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("Jane: 03/04/1990, phone 415-867-5309", "US"),
        ("415-867-2015", "US"),
        ("4158675309 is my phone", "US"),
        ("0044 117 496 0123", "GB"),
        ("030 123456-0", "DE"),
        ("GMT+2 2015-03-04", None),
        ("21549/21549", "US"),
        ("root         164  0.0  0.0   5416  2128 pts/1", "DE"),
        ("Figure 16.85. The dialog", "DE"),
        ("Boston, MA 02111-1307 USA", "DE"),
        ("Cloning into 'x'... git@github.com: Permission denied (publickey).", None),
        ("scp notes anna@files.acme.io:notes", None),
        ("x@y.com # mail me", None),
        ("localhost/81.2.69.142:9042", None),
        ("81.2.69.142-81.2.69.150", None),
        ("12.34.56.78 - - [10/Oct/2000]", None),
        ("Flash Player 11.2.202.233 through 11.2.202.235", None),
        ("* 1.2.3.44 (2015-03-04)", None),
        ("bump foo from 1.2.3.44 to 1.2.3.45", None),
    ],
)  # fmt: skip
def test_context_words_and_signs_decide(text: str, region: str | None) -> None:
    personal = {"415-867-5309", "415-867-2015", "4158675309", "0044 117 496 0123", "030 123456-0", "x@y.com"}
    personal |= {"81.2.69.142", "81.2.69.150", "12.34.56.78"}
    clean, _ = scrubbed(text, KINDS, region)
    for data in sorted(personal):
        text = text.replace(data, STAND_INS["ip" if data.count(".") == 3 else "email" if "@" in data else "phone"])
    assert clean == text


PARTS = st.sampled_from([*STAND_INS.values(), "a@b.co", "@c.de", "212.94.201.10", "2a00::1", ":", ".", "-", " ", "9", "+44 117 496 0123", "4111111111111111", "x"])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=8).map("".join) | st.text(max_size=80))
def test_scrubbing_is_idempotent(text: str) -> None:
    clean, counts = scrubbed(text, KINDS)
    assert (clean == text) == (not counts)
    assert scrubbed(clean, KINDS) == (clean, {})


@pytest.mark.parametrize(
    "part", ["a", "a.", "a@", "@a.", "a@a.a-", "1.", "9", "9 ", "4111 ", "a:", "::", "f:f", "+1", "+1 (", "+1 2", "é@"]
)
def test_hostile_text_takes_linear_time(part: str) -> None:
    text = part * (10**6 // len(part))
    began = time.process_time()
    scrubbed(text, KINDS)
    assert time.process_time() - began < 8


@pytest.mark.parametrize(
    "part",
    ["a@b.co ", "ssh -a a@b.co ", "ssh -a /b=c ", "scp a ", "x@y.com:", "https://a@b.co", "1.2.3.40 ", "Foo (1.2.3.40) ", "version 1.2.3.40, ",
     "415-867-5309 ", "415 867 5309 ", "2015-", "2015 ", "1'", "1.2-", "1 °", "AB12 ABCD ", "lat 1.2345, ", "$1", "tel "],
)  # fmt: skip
def test_hostile_context_takes_linear_time(part: str) -> None:
    """libphonenumber itself takes half a millisecond for a number."""
    took = []
    for size in (10_000, 40_000):
        began = time.process_time()
        scrubbed(part * (size // len(part)), KINDS, "US")
        took.append(time.process_time() - began)
    assert took[1] < max(8 * took[0], 1)
