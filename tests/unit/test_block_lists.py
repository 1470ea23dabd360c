"""Addresses and words that a block list covers, and its speed on long lists and hostile input."""

import time

import pytest

from transforms.pages.block_lists import entries, url_matcher, word_counter


def test_entries() -> None:
    assert entries(["# UT1, adult", "", " bad.org  ", "site.org/c#d # why", "c#\r"]) == [
        "bad.org",
        "site.org/c#d",
        "c#",
    ]


LISTED = ["bad.org", "http://www.Worse.org/", "host.org/ads", "host.org/~joe/", "10.0.0.7", "q.org?id="]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://bad.org/", True),
        ("https://a.b.BAD.org:8080/x?y", True),
        ("//bad.org./x", True),
        ("http://me:pw@bad.org/", True),
        ("http://notbad.org/", False),
        ("http://bad.org.evil.net/", False),
        ("http://good.net/bad.org", False),
        ("http://worse.org/deep/page", True),
        ("http://www.host.org/ads/1", True),
        ("http://host.org/adsense", True),
        ("http://host.org/news/ads", False),
        ("http://host.org/~joe/x", True),
        ("http://host.org/", False),
        ("http://sub.host.org/ads", False),
        ("http://10.0.0.7/x", True),
        ("http://q.org/?id=3", False),
        ("http://q.org?id=3", True),
        ("", False),
        ("://", False),
    ],
)
def test_url_matcher(url: str, expected: bool) -> None:
    assert url_matcher(LISTED)(url) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Casino, CASINO! casino's casinos", 3),
        ("win big money and win, big money", 1),
        ("win\nbig", 1),
        ("nothing", 0),
        ("say f**k 🖕", 2),
        ("", 0),
    ],
)
def test_word_counter(text: str, expected: int) -> None:
    assert word_counter(["casino", "Win  big", "f**k", "🖕"])(text) == expected
    assert word_counter([])(text) == 0


def test_long_lists_and_hostile_addresses_are_fast() -> None:
    is_blocked = url_matcher([f"host{i}.org" for i in range(50_000)] + [f"one.org/{i}/" for i in range(50_000)])
    count = word_counter([f"word{i}" for i in range(50_000)] + [f"say word{i}" for i in range(50_000)])
    began = time.perf_counter()
    assert all(is_blocked(f"http://www.host{i}.org/x") for i in range(1000))
    assert not any(is_blocked(f"http://host{i}.net/x") for i in range(1000))
    assert is_blocked("http://one.org/49999/x")
    for part in ("a", "a.", "a@", "/", ":", "//"):
        assert not is_blocked("http://" + part * 500_000)
    assert count("say word7 " * 10_000) == 20_000
    assert time.perf_counter() - began < 5
