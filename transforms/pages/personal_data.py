"""Personal data in a text gives way to a stand-in: e-mail addresses, public IP, phone and card numbers.

As in FineWeb (arXiv 2406.17557, `email@example.com`) a stand-in is of the kind it stands for: where
Dolma (arXiv 2402.00159) writes `|||EMAIL_ADDRESS|||`, a model learns to write just that. The
stand-ins are nobody's by a standard, and are left alone: a scrubbed text has nothing to scrub.
"""

from collections import Counter
from collections.abc import Collection, Iterable

from transforms.pages.email_addresses import email_addresses
from transforms.pages.ip_addresses import ip_addresses
from transforms.pages.phone_and_card_numbers import card_numbers, phone_numbers

STAND_INS = {
    "email": "email@example.com",  # RFC 2606
    "card": "0000 0000 0000 0000",  # ISO/IEC 7812: no issuer's number begins with 0
    "ip": "192.0.2.1",  # RFC 5737
    "ipv6": "2001:db8::1",  # RFC 3849; counted as `ip`
    "phone": "+1 202-555-0100",  # the North American plan keeps 555-0100 to 555-0199 for fiction
}


def scrubbed(text: str, kinds: Collection[str], phone_region: str | None = None) -> tuple[str, dict[str, int]]:
    """The text with its stand-ins, and how many of each of the `kinds` (email, card, ip, phone) were replaced.

    `phone_region` (ISO 3166) is the country whose numbers may stand without their +; None: no one's.
    """
    found: Counter[str] = Counter()

    def replace(kind: str, spans: Iterable[tuple[int, int, str]]) -> str:
        parts, at = [], 0
        for start, end, name in spans:
            parts += [text[at:start], STAND_INS[name]]
            at = end
            found[kind] += 1
        return "".join([*parts, text[at:]])

    if "email" in kinds:
        text = replace("email", ((*span, "email") for span in email_addresses(text)))
    if "card" in kinds:
        text = replace("card", ((*span, "card") for span in card_numbers(text)))
    if "ip" in kinds:
        text = replace("ip", sorted(ip_addresses(text)))
    if "phone" in kinds:
        text = replace("phone", ((*span, "phone") for span in phone_numbers(text, phone_region)))
    return text, dict(found)
