"""Personal data in a text gives way to a stand-in: e-mail addresses, public IP, phone and card numbers.

As in FineWeb (arXiv 2406.17557, `email@example.com`) a stand-in is of the kind it stands for: where
Dolma (arXiv 2402.00159) writes `|||EMAIL_ADDRESS|||`, a model learns to write just that. The
stand-ins are nobody's by a standard, and are left alone: a scrubbed text has nothing to scrub.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Collection

from phonenumbers import PhoneNumberMatcher

STAND_INS = {
    "email": "email@example.com",  # RFC 2606
    "card": "0000 0000 0000 0000",  # ISO/IEC 7812: no issuer's number begins with 0
    "ip": "192.0.2.1",  # RFC 5737
    "ipv6": "2001:db8::1",  # RFC 3849; counted as `ip`
    "phone": "+1 202-555-0100",  # the North American plan keeps 555-0100 to 555-0199 for fiction
}
# Every repetition has a bound, the standards' own, so that the time is linear in the text. A pattern that
# begins with a set of characters is found fastest, so what must not stand before it is looked up after one.
EMAIL = re.compile(r"(?<![\w.+%-])[\w+%-][\w.+%-]{0,63}@((?:[^\W_][\w-]{0,62}\.){1,8}[^\W\d_]{2,24})(?![\w-])")
# Reserved names (RFC 2606, 6762), and systemd's units: getty@tty1.service.
NOBODYS = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|net|org))?|test|invalid|localhost|local|service|socket)$", re.I)
IPV4 = re.compile(r"[0-9](?<![\w.].)\d{0,2}(?:\.\d{1,3}){3}(?!\w|\.\w)", re.ASCII)
IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:]|\.\w)", re.ASCII | re.I)
UNICAST = ipaddress.ip_network("2000::/3")  # all that IANA gives out: `dead::beef` is a name in a program
LEAST_OCTET = 32  # 3.7.16.2 is a version; of the addresses one in 4,096 has no larger number
CARD = re.compile(
    r"[2-6](?<![\w.-].)(?:(?<!2)\d|[2-7])\d\d([ -]?)(?:\d{4}\1\d{4}\1\d{1,7}|\d{6}\1\d{4,5})(?![\w-]|\.\d)", re.ASCII
)
PLUS = re.compile(r"[+\uff0b]\W{0,4}\d")


def scrubbed(text: str, kinds: Collection[str], phone_region: str | None = None) -> tuple[str, dict[str, int]]:
    """The text with its stand-ins, and how many of each of the `kinds` (email, card, ip, phone) were replaced.

    `phone_region` (ISO 3166) is the country whose numbers may stand without their +; None: no one's.
    """
    found: Counter[str] = Counter()

    def replace(name: str, kind: str, pattern: re.Pattern[str], is_one: Callable[[re.Match[str]], bool]) -> str:
        def stand_in(match: re.Match[str]) -> str:
            if not is_one(match):
                return match[0]
            found[kind] += 1
            return STAND_INS[name]

        return pattern.sub(stand_in, text)

    if "email" in kinds and "@" in text:
        text = replace("email", "email", EMAIL, lambda match: not NOBODYS.search(match[1]))
    if "card" in kinds:
        text = replace("card", "card", CARD, lambda match: passes_luhn(match[0]))
    if "ip" in kinds:
        text = replace("ip", "ip", IPV4, lambda match: is_public(match[0]))
        if "::" in text or text.count(":") >= 7:
            text = replace("ipv6", "ip", IPV6, lambda match: is_public(match[0]))
    if "phone" in kinds and (phone_region or PLUS.search(text)):
        text, n = _without_phones(text, phone_region)
        found["phone"] += n
    return text, dict(+found)


def is_public(address: str) -> bool:
    """Whether it is an IP address that can belong to someone: global unicast, and no version number."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        return ip.is_global and ip in UNICAST
    return ip.is_global and not ip.is_multicast and max(ip.packed) >= LEAST_OCTET


def passes_luhn(number: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812)."""
    digits = [int(c) for c in reversed(number) if c.isdigit()]
    return (sum(digits[::2]) + sum(sum(divmod(2 * d, 10)) for d in digits[1::2])) % 10 == 0


def _without_phones(text: str, region: str | None) -> tuple[str, int]:
    parts, at, n = [], 0, 0
    for match in PhoneNumberMatcher(text, region):
        number = match.number
        if number.country_code != 1 or (number.national_number or 0) // 100 % 100_000 != 55501:  # not fiction
            parts += [text[at : match.start], STAND_INS["phone"]]
            at, n = match.end, n + 1
    return "".join([*parts, text[at:]]), n
