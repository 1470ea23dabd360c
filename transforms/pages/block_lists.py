"""Apply the user's block lists: match a page's address, and count the listed words in a text."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable

COMMENT = re.compile(r"(?:^|\s)#.*")
ADDRESS = re.compile(r"\s*(?:(?:[a-z][a-z0-9+.-]*:)?//)?(?:[^/?#\s]*@)?(?:www\.)?([^/?#:\s]*)(?::\d*)?(\S*)", re.I)
MAX_HOST_CHARS = 253  # the longest domain name; only the end of a longer host is matched
TOKEN = re.compile(r"\w+|[^\w\s]")


def entries(lines: Iterable[str]) -> list[str]:
    """Parse one entry per line; a `#` after white space, or at the beginning, starts a comment."""
    return [entry for line in lines if (entry := COMMENT.sub("", line).strip())]


def url_matcher(blocked: Iterable[str]) -> Callable[[str], bool]:
    """Return a predicate on addresses: true below a blocked domain or under a blocked prefix.

    As in the UT1 lists, an entry without a path is a domain (`example.com`, with all hosts below
    it), an entry with a path is a prefix (`example.com/ads`). Scheme, `www.`, port and case of the
    host are ignored.
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
    """Return a function that counts the occurrences of listed words and phrases in a text: whole words, any case."""
    phrases = {tuple(TOKEN.findall(entry.casefold())) for entry in words}
    lengths = sorted({len(phrase) for phrase in phrases})

    def count(text: str) -> int:
        tokens = TOKEN.findall(text.casefold()) if phrases else []
        return sum(run in phrases for n in lengths for run in zip(*(tokens[i:] for i in range(n)), strict=False))

    return count


def _host_and_path(address: str) -> tuple[str, str]:
    match = ADDRESS.match(address)
    assert match is not None  # all of its parts may be empty
    return match[1].rstrip(".").lower()[-MAX_HOST_CHARS:], match[2]
