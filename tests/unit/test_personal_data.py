"""What is personal data and what only looks like it; a scrubbed text is done with, in linear time."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.pages.ip_addresses import is_public
from transforms.pages.personal_data import STAND_INS, scrubbed
from transforms.pages.phone_and_card_numbers import passes_luhn

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


PARTS = st.sampled_from([*STAND_INS.values(), "a@b.co", "@c.de", "212.94.201.10", "2a00::1", ":", ".", "-", " ", "9", "+44 117 496 0123", "4111111111111111", "x"])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=8).map("".join) | st.text(max_size=80))
def test_a_scrubbed_text_has_nothing_left_to_scrub(text: str) -> None:
    clean, counts = scrubbed(text, KINDS)
    assert (clean == text) == (not counts)
    assert scrubbed(clean, KINDS) == (clean, {})


@pytest.mark.parametrize(
    "part", ["a", "a.", "a@", "@a.", "a@a.a-", "1.", "9", "9 ", "4111 ", "a:", "::", "f:f", "+1", "+1 (", "+1 2", "é@"]
)
def test_hostile_text_takes_linear_time(part: str) -> None:
    text = part * (10**6 // len(part))
    began = time.perf_counter()
    scrubbed(text, KINDS)
    assert time.perf_counter() - began < 8
