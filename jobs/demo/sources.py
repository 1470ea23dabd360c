"""The documentation packages that the demo reads, and the public addresses of their pages."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A package whose files are pages of a public site.

    `root` is the package's folder that corresponds to `url`, `pages` are patterns of the paths below
    it, `renamed` is the suffix of a file's name and its form on the site. At most `limit` pages are
    taken: first those that give seed pairs, then by hash of the URL.
    """

    package: str
    root: str
    url: str
    licence: str
    pages: tuple[str, ...] = ("*.html",)
    renamed: tuple[str, str] = ("", "")
    limit: int = 150


DEBIAN = "https://www.debian.org/doc/manuals"
LANGUAGE = (".html", ".en.html")

SEED_URL_PREFIXES = (
    f"{DEBIAN}/debian-faq/",
    "https://docs.python.org/3/faq/",
    "https://www.sqlite.org/faq.html",
)
"""The FAQ pages; they give the seed, so the unlabelled pool must not hold them."""

SOURCES = (
    Source("debian-faq", "usr/share/doc/debian/FAQ", f"{DEBIAN}/debian-faq/", "LicenseRef-Debian-FAQ"),
    Source("sqlite3-doc", "usr/share/doc/sqlite3", "https://www.sqlite.org/", "LicenseRef-Public-Domain"),
    Source(
        "debian-handbook",
        "usr/share/doc/debian-handbook/html/en-US",
        f"{DEBIAN}/debian-handbook/",
        "GPL-2.0-or-later OR CC-BY-SA-3.0",
        renamed=LANGUAGE,
    ),
    Source("debian-reference-en", "usr/share/debian-reference", f"{DEBIAN}/debian-reference/", "GPL-2.0-or-later"),
    Source(
        "developers-reference",
        "usr/share/developers-reference",
        f"{DEBIAN}/developers-reference/",
        "GPL-2.0-or-later",
        renamed=LANGUAGE,
    ),
    Source(
        "gimp-help-en",
        "usr/share/gimp/2.0/help/en",
        "https://docs.gimp.org/2.10/en/",
        "GFDL-1.2-no-invariants-or-later",
    ),
    Source(
        "libreoffice-help-en-us",
        "usr/share/libreoffice/help/en-US",
        "https://help.libreoffice.org/latest/en-US/",
        "MPL-2.0",
    ),
    Source("postfix-doc", "usr/share/doc/postfix/html", "https://www.postfix.org/", "IPL-1.0 OR EPL-2.0"),
    Source(
        "git-doc",
        "usr/share/doc/git-doc",
        "https://www.kernel.org/pub/software/scm/git/docs/",
        "GPL-2.0-only",
    ),
)

PYTHON_PACKAGE = r"python3\.\d+-doc"


def python_source(package: str) -> Source:
    """Return the source for Python's documentation, whose package name holds the version that the host offers."""
    return Source(
        package,
        f"usr/share/doc/{package.removesuffix('-doc')}/html",
        "https://docs.python.org/3/",
        "PSF-2.0",
        pages=("faq/*.html", "tutorial/*.html", "howto/*.html"),
    )
