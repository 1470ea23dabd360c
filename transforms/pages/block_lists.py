"""Lists that users bring: whether a page's address is blocked, and how often a text says a listed word."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable

COMMENT = re.compile(r"(?:^|\s)#.*")
ADDRESS = re.compile(r"\s*(?:(?:[a-z][a-z0-9+.-]*:)?//)?(?:[^/?#\s]*@)?(?:www\.)?([^/?#:\s]*)(?::\d*)?(\S*)", re.I)
MAX_HOST_CHARS = 253  # of a domain name; what a hostile address has more is not looked at
TOKEN = re.compile(r"\w+|[^\w\s]")


def entries(lines: Iterable[str]) -> list[str]:
    """One entry a line; a `#` after white space, or at the beginning, starts a comment."""
    return [entry for line in lines if (entry := COMMENT.sub("", line).strip())]


def url_matcher(blocked: Iterable[str]) -> Callable[[str], bool]:
    """Says of an address whether it is below a listed domain, or begins with a listed one.

    As in the UT1 lists, an entry without a path is a domain (`example.com`, with all hosts below
    it), one with a path a prefix (`example.com/ads`); scheme, `www.`, port and case of the host
    do not count.
    """
    domains: set[str] = set()
    listed: defaultdict[str, list[str]] = defaultdict(list)
    for host, path in map(_host_and_path, blocked):
        if path in ("", "/"):
            domains.add(host)
        else:
            listed[host].append(path)
    prefixes = {host: tuple(paths) for host, paths in listed.items()}

    def is_blocked(url: str) -> bool:
        host, path = _host_and_path(url)
        labels = host.split(".")
        above = (".".join(labels[start:]) for start in range(len(labels)))
        return path.startswith(prefixes.get(host, ())) or any(domain in domains for domain in above)

    return is_blocked


def word_counter(words: Iterable[str]) -> Callable[[str], int]:
    """Counts where a text says one of the listed words or phrases, as whole words in any case."""
    phrases = {tuple(TOKEN.findall(entry.casefold())) for entry in words}
    lengths = sorted({len(phrase) for phrase in phrases})

    def count(text: str) -> int:
        tokens = TOKEN.findall(text.casefold()) if phrases else []
        return sum(run in phrases for n in lengths for run in zip(*(tokens[i:] for i in range(n)), strict=False))

    return count


def _host_and_path(address: str) -> tuple[str, str]:
    found = ADDRESS.match(address)
    assert found is not None  # all of its parts may be empty
    return found[1].rstrip(".").lower()[-MAX_HOST_CHARS:], found[2]
