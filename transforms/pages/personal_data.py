"""Replace personal data in a text by stand-ins: e-mail addresses, public IP addresses, phone and card numbers.

As in FineWeb (arXiv 2406.17557, `email@example.com`) a stand-in has the form of the data: from Dolma's
`|||EMAIL_ADDRESS|||` (arXiv 2402.00159) a model learns to write exactly that. Standards reserve the
stand-ins, so they belong to nobody. They are not replaced again: scrubbing a scrubbed text changes nothing.
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
    """Replace the personal data of the `kinds` (email, card, ip, phone); return the text and the count of each kind.

    `phone_region` (ISO 3166) is the country whose numbers are found without a +; None for no country.
    """
    counts: Counter[str] = Counter()

    def replace(kind: str, spans: Iterable[tuple[int, int, str]]) -> str:
        parts, at = [], 0
        for start, end, name in spans:
            parts += [text[at:start], STAND_INS[name]]
            at = end
            counts[kind] += 1
        return "".join([*parts, text[at:]])

    if "email" in kinds:
        text = replace("email", ((*span, "email") for span in email_addresses(text)))
    if "card" in kinds:
        text = replace("card", ((*span, "card") for span in card_numbers(text)))
    if "ip" in kinds:
        text = replace("ip", sorted(ip_addresses(text)))
    if "phone" in kinds:
        text = replace("phone", ((*span, "phone") for span in phone_numbers(text, phone_region)))
    return text, dict(counts)
