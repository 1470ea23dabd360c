"""Find public IP addresses in a text, and exclude versions, section numbers and times that look alike."""

import ipaddress
import re
from collections.abc import Iterator

# A pattern that begins with a set of characters is found fastest, so the lookbehind stands after the first one.
IPV4 = re.compile(r"[0-9](?<![\w.].)\d{0,2}(?:\.\d{1,3}){3}(?!\w|\.\w)", re.ASCII)
IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:]|\.\w)", re.ASCII | re.I)
# IANA's unicast allocations: `dead::beef` is a name in a program, and 2015::03 a date.
UNICAST = tuple(
    map(
        ipaddress.IPv6Network,
        ("2001::/16", "2002::/16", "2003::/18", "2400::/12", "2600::/12", "2800::/12", "2a00::/11", "2c00::/12"),
    )
)
LEAST_OCTET = 32  # an address needs an octet this large: 3.7.16.2 is a version; one address in 4,096 has none
LARGEST_MAJOR = 31  # the largest first number of a version after an unknown product name
ATTRIBUTES = re.compile(r"2\.5\.(?:4|29)\.\d+")  # X.500's object identifiers
PORT_AFTER = re.compile(r":\d|/\d{1,2}(?!\d)|\s+port\b", re.I)
VERSION_BEFORE = re.compile(
    r"""(?:version  # of a name in code, too: FileVersion, app_version
      |(?<![^\W_])(?<![.@-])(?:versions|vers?|releases?|rel|builds?|kernels?|linux|firmware|revisions?|rev|(?:up|down)grad\w+|updat\w+
        |sections?|sect?|chapters?|ch|clauses?|paragraphs?|paras?|articles?|art|annex|appendix|figures?|fig|tables?
        |requirements?|oids?)
      |\u00a7)\.?
     [\s"'=:<>(\[]*
     (?:(?:from|to|is|was|number|no\.|before|after|since|below|above|until|through|between|up\sto|at\sleast|prior\sto
       |(?:earl|lat|old|new|low|high)\w+\sthan)\s+)?v?$
    |(?:bump|(?:up|down)grad)\w*\s(?:\S{1,40}\s){0,2}from\s$
    |(?:==|[<>~!]=|~>|\^)\s*$
    |(?:^|\n)\#{1,6}[ ]$  # a numbered heading
    |[a-z_+][/-]$|[a-z]/v$  # Chrome/91.0.44.124, linux-2.6.32.71""",
    re.X,
)
VERSION_AFTER = re.compile(
    r"""-\d{0,3}[a-z]|[ -]?(?:alpha|beta|rc\d*|sp\d|ga|dev|snapshot)\b|\+(?!\d)
    |\s+(?:and|or)\s+(?:earlier|later|older|newer|above|below|prior|up|higher|lower|previous|greater)\b
    |\s+(?:release|build|version|kernel|firmware|installer)s?\b|\s+\((?:32|64)-bit""",
    re.I | re.X,
)
PRODUCT_BEFORE = re.compile(
    r"""(?:^|[^\w.-])(?:chrom\w+|electron|edge|firefox|safari|opera|vivaldi|brave|flash|player|air|quicktime|reader|acrobat
      |java(?:[ ][sem]e)?|jre|jdk
      |\.?net|framework|runtime|sdk|windows|macos|ios|android|office|skype|teams|itunes|vlc|oracle|mysql
      |(?:sql|exchange|windows)[ ]server|sharepoint|silverlight|shockwave|webkit|nginx|apache|openssl|openssh|bash|gcc
      |glibc|php|python|ruby|perl|node(?:\.js)?|postgres(?:ql)?|sqlite|debian|ubuntu|centos|rhel|library|package|module
      |plug-?in|extension|software|app)[ ]\(?$""",
    re.X,
)
# For a small first number only: any other capitalised name, or a phrase that dates a change.
NAME_BEFORE = re.compile(r"(?:^|[^\w.@-])([A-Z](?=\w*[a-z\d])[\w+-]{1,40})[ ]\(?$")
NETWORK = re.compile(
    r"(?:from|hosts?|servers?|clients?|ips?|ipv4|addr\w*|gateway|router|nodes?|peers?|source|dest\w*|src|dst|remote|local"
    r"|nameservers?|resolver|p(?:ing|olling)\w*|reply|to|at|by|on|via|and|or|the|an?|for|in|is|with|if|when|connect\w*"
    r"|block\w*|(?:un)?bann?\w*|allow\w*|den[iy]\w*|reject\w*|accept\w*|listen\w*|bind\w*|try\w*|visit\w*|open\w*|us\w+"
    r"|set|add\w*|got|rece\w+|request\w*|log\w*|user|attack\w*|scan\w*|targets?|ports?|endpoints?|subnet|network|route"
    r"|interface|proxy|firewall|machine|computer|found|fail\w*|invalid|disconnect\w*|drop\w*|rout\w+|resolv\w+|sen[dt]\w*"
    r"|contact\w*|reach\w*|query\w*|look\w*|trac\w+|whois|relay|sender|mail|telnet|curl|wget|forwarded|through)$",
    re.I,
)
CHANGED_BEFORE = re.compile(
    r"(?:\b(?:(?:fix|introduc|patch|add|remov|resolv|includ|deprecat|releas|chang)\w+ (?:in|with)|(?:new|available) in"
    r"|see|since|prior to|(?:earlier|later|newer|older|lower|higher) than|as of|starting with))\s+$"
)
# A section's number before its title, or a version's before its date.
LINE_BEFORE, LINE_AFTER = re.compile(r"(?:^|\n)(?:[-*] )?$"), re.compile(r"\.?\s+[A-Z][a-z]|\s+\(\d{4}-")
AND = re.compile(
    r"(?:\s*(?:,|;|/|&|and|or|to|through|->|\u2192|<=?|\.{2,3}|[-\u2013\u2014])\s*){1,2}(?:v|version |release )?$"
)
CONTEXT = 60


def ip_addresses(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the start, end and kind (ip or ipv6) of each public address in a text."""
    matches = [match for match in IPV4.finditer(text) if is_public(match[0])]
    versions: set[str] = set()
    last = 0  # end of the previous version
    for match in matches:
        follows = last and AND.fullmatch(text[last : match.start()]) and match.start() - last < CONTEXT
        if not PORT_AFTER.match(text, match.end()) and (follows or _is_version(text, match)):
            versions.add(match[0])
            last = match.end()
    yield from ((*match.span(), "ip") for match in matches if match[0] not in versions)
    if "::" in text or text.count(":") >= 7:
        yield from ((*match.span(), "ipv6") for match in IPV6.finditer(text) if is_public(match[0]))


def is_public(address: str) -> bool:
    """Return whether a string is an IP address of global unicast, and not likely to be a version (octets all small)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        return ip.is_global and any(ip in network for network in UNICAST)
    return ip.is_global and not ip.is_multicast and max(ip.packed) >= LEAST_OCTET


def _is_version(text: str, match: re.Match[str]) -> bool:
    """Return whether four numbers are a version, a section or an object identifier, by the words around them."""
    before = text[max(0, match.start() - CONTEXT) : match.start()]
    after = text[match.end() : match.end() + CONTEXT]
    if ATTRIBUTES.fullmatch(match[0]) or VERSION_AFTER.match(after):
        return True
    lower = before.lower()
    if VERSION_BEFORE.search(lower) or PRODUCT_BEFORE.search(lower):
        return True
    if int(match[0].partition(".")[0]) > LARGEST_MAJOR:
        return False
    name = NAME_BEFORE.search(before)
    is_listed = LINE_BEFORE.search(before) and LINE_AFTER.match(after)
    return bool(is_listed or CHANGED_BEFORE.search(lower) or (name and not NETWORK.match(name[1])))
