"""Find e-mail addresses in a text, and exclude file names, logins on other machines and handles that look alike."""

import re
from collections.abc import Iterator

from transforms.pages.top_level_domains import TOP_LEVEL_DOMAINS

# Every repetition is bounded by the limits of the standards, so the time is linear in the text.
EMAIL = re.compile(
    r"(?<![\w.+%-])[\w+%-][\w.+%-]{0,63}@((?:[^\W_][\w-]{0,62}\.){1,8}([^\W\d_]{2,24}|xn--[^\W_][\w-]{1,58}))(?![\w-])"
)
LAST_LABELS = TOP_LEVEL_DOMAINS - {"zip", "mov", "target"}  # more often suffixes of files and systemd units
NOBODYS = re.compile(r"(?:^|\.)example\.(?:com|net|org)$", re.I)  # RFC 2606
NO_HOST = re.compile(r"v?\d+(?:\.\d+)+\.|\d(?:\.\d)?x\.", re.I)  # pkg@1.2.3.zip, icon@2x.zip
# Text before user@host that shows it to be part of the address of a machine or file, or of another network.
LOGIN_BEFORE = re.compile(
    r"""(?!mailto:)\b[a-z][a-z0-9+.-]{0,30}://[^\s/?\#@<>"']{0,100}$  # https://user:secret@host
    |(?:^|[^\w-])(?:ssh(?:-copy-id|fs)?|sftp|scp|rsync|mosh|autossh)
     (?:[ ]+(?:-[^\s@]{1,40}(?:[ ][^\s@]{1,40})?|\S{0,80}[/.=:~]\S{0,80})){0,6}[ ]+["']?$
    |@$  # @user@host of the fediverse, a public name
    |(?:^|[\s(])!$  # !community@host""",
    re.X,
)
# A path on that machine, or the end of a shell's prompt.
PATH_AFTER = re.compile(r":(?:~|\.{0,2}/|\d{1,5}[/:]\w|[\w.+-]{1,64}/|[\w.+-]{1,64}\.git\b)|[ ][^\s\]]{1,64}\][#$%]")
# A copy command's source or target may be a single file, which looks like any word.
COPY_BEFORE = re.compile(r"(?:^|[^\w-])(?:scp|rsync)[ ][^\n]{0,160}$")
SERVICE = re.compile(r"(?:git|hg|svn|cvs|bzr|aur|gerrit|gitea|forgejo|gitolite\d?)@", re.I)
FORGE = re.compile(r"\w+@(?:[\w-]{1,63}\.)?(?:github|gitlab|bitbucket|codeberg|gitee|gitea|azure|sr)\.", re.I)
CONTEXT = 200


def email_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each personal e-mail address in a text."""
    for match in EMAIL.finditer(text) if "@" in text else ():
        if _is_domain(match[1], match[2]) and not _is_login(text, match):
            yield match.span()


def _is_domain(host: str, last: str) -> bool:
    """Return whether mail can be delivered to a host of that name, by its top-level domain."""
    known = last.lower() in LAST_LABELS or not last.isascii() or last[:4].lower() == "xn--"
    return known and not NOBODYS.search(host) and not NO_HOST.match(host)


def _is_login(text: str, match: re.Match[str]) -> bool:
    """Return whether a match is a login (SSH, a URI, a version control system) or a name in another network."""
    before = text[max(0, match.start() - CONTEXT) : match.start()].lower()
    after = text[match.end() : match.end() + CONTEXT]
    if SERVICE.match(match[0]) and (re.match(r":\S", after) or FORGE.match(match[0])):
        return True
    if after[:1] == ":" and not after[1:2].isspace() and COPY_BEFORE.search(before):
        return True
    return bool(PATH_AFTER.match(after) or LOGIN_BEFORE.search(before))
