"""Find phone and card numbers in a text, and exclude dates, prices, coordinates, ISBNs and order numbers."""

import re
from collections.abc import Iterator

from phonenumbers import PhoneNumberMatch, PhoneNumberMatcher

CARD = re.compile(
    r"[2-6](?<![\w.-].)(?:(?<!2)\d|[2-7])\d\d([ -]?)(?:\d{4}\1\d{4}\1\d{1,7}|\d{6}\1\d{4,5})(?![\w-]|\.\d)", re.ASCII
)
# The issuers' first digits and the number of digits (ISO/IEC 7812): Visa, Mastercard, American Express, Discover,
# Diners, JCB, UnionPay, Maestro. Article and device numbers (EAN, IMEI) have other lengths.
ISSUED = re.compile(
    r"4\d{15}(?:\d{3})?|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{12,15}"
)
PLUS = re.compile(r"[+\uff0b]\W{0,4}\d")
BEGUN = re.compile(r"(?<![^\W_])[+\uff0b][\d ()./-]{1,10}$")
DAY, YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:1[5-9]|20)\d\d"
DATE = (
    rf"(?:{YEAR}[-./]\d\d?[-./]\d\d?|{DAY}[-./][ ]?{DAY}[-./][ ]?(?:{YEAR}|\d\d)"
    rf"|{DAY}[-./][ ]?{YEAR}|{YEAR}[-./]\d\d?)"
)
TO = r"\s?[-\u2010-\u2015/]\s?"
AMOUNT = r"\d{1,15}(?:[.,']\d{1,15}){0,5}"
# Masked with bars before the search for phone numbers: libphonenumber would match dates.
NO_PHONE = re.compile(
    rf"""(?=[-+\dA-Z$€£¥₹a-fhv])(?:  # first, for speed
    https?://(?!wa\.me/)[^\s<>"']{{1,500}}
    |(?<![\w+(])(?<!\d[-./])(?:
      {DATE}(?:{TO}(?:{DATE}|{YEAR})){{0,3}}
      |{YEAR}{TO}(?:{DATE}|{YEAR}|\d\d)
      |\d{{4,5}}-(?:0\d|1[0-2])-(?:[0-2]\d|3[01])
      |(?:0|[1-9]\d{{0,2}})(?:\.(?:0|[1-9]\d{{0,2}})){{3,12}}  # an IP address, an object identifier
      |{YEAR}(?:[ ,]{{1,2}}{YEAR}){{1,20}}
      |{YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:T?\d{{4}}(?:\d\d)?)?
      |\d\d?[.:]\d\d{TO}\d\d?[.:]\d\d
      |\d\d?:\d\d(?::\d\d(?:[.,]\d{{1,9}})?)?
      |v?\d{{1,5}}(?:\.\d{{1,6}}){{1,4}}{TO}v?\d{{1,5}}(?:\.\d{{1,6}}){{1,4}}
      |[1-9]\d?(?:[.']\d{{3}}){{2,5}}
      |[0-9a-f]{{8}}-(?:[0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}}
      |[A-Z]{{2}}\d\d(?:[ ]?[A-Z0-9]{{4}}){{3,7}}(?:[ ]?[A-Z0-9]{{1,3}})?  # an IBAN
      |{AMOUNT}\s?(?:[€$£¥%°]|(?:EUR|USD|GBP|CHF|euros?|dollars?|pounds?|bytes|[kKMG]i?B)\b)
    )(?![-./]?\d)(?!\w)
    |\b[A-Z]{{2}}[ ]\d{{5}}-\d{{4}}(?![-\d])  # a ZIP code
    |(?<![\d.+])(?:0|[1-9]\d{{0,2}})\.\d{{4,20}}(?![\d.])
    |[-+]?\d{{1,3}}\.\d{{3,20}}°?\s?[NS]?[,;/ ]{{1,2}}[-+]?\d{{1,3}}\.\d{{3,20}}
    |\d{{1,3}}(?:\.\d{{1,20}})?\s?[°º][\d\s'".,\u2032\u2033\u2019\u201d]{{0,24}}
    |[$€£¥₹]\s?{AMOUNT}|\b(?:USD|EUR|GBP|CHF)\s?{AMOUNT}
    )""",
    re.X,
)
# Words, in lower case, after which a number is no phone number.
NUMBERED = re.compile(
    r"""\b(?:(?:isbn(?:-?1[03])?|issn|doi|ean|upc|gtin|asin|rfcs?|cve|sku|imei|imsi|iccid|iban|bic|vin|vat|pmid|orcid|oid|pid
      |uid|gid|[ug]uid|md5|sha-?\d*|crc-?\d*|checksum|epoch|timestamp|unix\stime|seed|ids?|ref|reference|serial|patent
      |versions?|build|bytes|offset|inode|pp|pages?|ports|bits|lat|latitude|lon|lng|longitude|gps|zip|plz|blz|kto)\b
     |(?:order|invoice|tracking|ticket|case|account|acct|customer|client|member(?:ship)?|booking|reservation|confirmation
      |transaction|policy|claim|item|art|article|part|product|model|catalog(?:ue)?|lot|batch|shipment|parcel|purchase|bug|issue
      |licen[cs]e|passport|registration|tax|insurance|security|routing|sort|job|po|bestell|artikel|rechnungs?|kunden
      |auftrags?|konto|teile|serien|vertrags?|steuer)\W{0,2}(?:no|nr|num|numbers?|nummer|id|codes?|\#))
     [\s:=.\#"']{0,4}(?:(?:is|was|no|nr|number)\b[\s:=.\#"']{0,4})?(?:97[89][- ])?$|\#$""",
    re.X,
)
CALLED = re.compile(
    r"\b(?:(?:tele)?phones?|tel|call|dial|ring|text|sms|fax|mobile|cell|whatsapp|hotline|helpline|contact|reach|landline"
    r"|telefon|mobil|handy|rufnummer|(?:my|our|your|his|her|their|the|work|home|office)\s(?:\w{1,20}\s)?number)\b"
    r"[^\n]{0,40}$|\b(?:ph|mob|[tmfp])[.:]\s{0,2}$"
)
CALLED_AFTER = re.compile(r"[^\n\d]{0,16}\b(?:(?:tele)?phone|call|mobile|cell|tel|fax|text me|whatsapp)\b", re.I)
LEAST_CALLED, LEAST_DIGITS, LEAST_BARE = 6, 7, 9  # digits: near such a word, without one, and also without separators
GROUPS = re.compile(r"\d+")
CONTEXT = 50


def card_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each number that a card issuer may have assigned."""
    for match in CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        before = text[max(0, match.start() - CONTEXT) : match.start()].lower()
        if ISSUED.fullmatch(digits) and passes_luhn(digits) and (match[1] or not NUMBERED.search(before)):
            yield match.span()


def passes_luhn(number: str) -> bool:
    """Return whether the last digit is the check digit of the others (ISO/IEC 7812)."""
    digits = [int(c) for c in reversed(number) if c.isdigit()]
    return (sum(digits[::2]) + sum(sum(divmod(2 * d, 10)) for d in digits[1::2])) % 10 == 0


def phone_numbers(text: str, region: str | None) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each phone number; numbers without a + are only found for a `region`."""
    if not (region or PLUS.search(text)):
        return
    masked = NO_PHONE.sub(lambda match: match[0] if _is_inside(text, match.start()) else "|" * len(match[0]), text)
    for match in PhoneNumberMatcher(masked, region):
        number = match.number
        is_fiction = number.country_code == 1 and (number.national_number or 0) // 100 % 100_000 == 55501
        if not is_fiction and (PLUS.search(match.raw_string) or _is_national(text, match)):
            yield match.start, match.end


def _is_inside(text: str, at: int) -> bool:
    """Return whether position `at` lies within an international number."""
    return BEGUN.search(text[max(0, at - 12) : at]) is not None


def _is_national(text: str, match: PhoneNumberMatch) -> bool:
    """Return whether a number without a + is a phone number, by its form and the words around it."""
    before = text[max(0, match.start - CONTEXT) : match.start].lower()
    after = text[match.end : match.end + CONTEXT]
    if NUMBERED.search(before):
        return False
    groups, signs = GROUPS.findall(match.raw_string), set(re.sub(r"\w", "", match.raw_string))
    n_digits = sum(map(len, groups))
    if CALLED.search(before) or CALLED_AFTER.match(after):
        return n_digits >= LEAST_CALLED
    if len(groups) == 1:
        return n_digits >= LEAST_BARE and groups[0][0] == "0" != groups[0][1]
    is_isbn = len(groups) > 3 and len(groups[-1]) == 1 and len(signs) == 1
    is_share = len(groups) == 2 and groups[0] == groups[1]  # 21549/21549
    is_column = re.search(r"\s\s", match.raw_string) is not None
    if n_digits < LEAST_DIGITS or is_isbn or is_share or is_column or groups[0] in tuple("2345679"):
        return False
    return signs != {" "} or not (re.search(r"\d[ \t]{1,3}$", before) or re.match(r"[ \t]{1,3}\d", after))
