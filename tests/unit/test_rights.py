import pytest

from transforms.crawl.rights import licences, robots_directives


@pytest.mark.parametrize(
    ("html", "header", "directives"),
    [
        ('<meta name="robots" content="noindex, NoArchive">', "", ["noarchive", "noindex"]),
        ("<META content='noai' name=robots>", "", ["noai"]),
        ("<meta name=robots content=noarchive><meta name='robots' content='noarchive, nofollow'>", "", ["noarchive", "nofollow"]),
        ("<meta name='description' content='robots'>", "noimageindex", ["noimageindex"]),
        ("<meta name=robots>", "", []),
        ("<p>robots: noarchive</p>", "", []),
    ],
)  # fmt: skip
def test_robots(html: str, header: str, directives: list[str]) -> None:
    assert robots_directives(html, header) == directives


@pytest.mark.parametrize(
    ("html", "names"),
    [
        ('<a rel="license" href="http://creativecommons.org/licenses/by-sa/3.0/de/">', ["CC-BY-SA-3.0"]),
        ("creativecommons.org/publicdomain/zero/1.0 creativecommons.org/publicdomain/mark/1.0", ["CC-PDM-1.0", "CC0-1.0"]),
        ("<a href='https://creativecommons.org/licenses/by-nc-nd/4.0'>" * 2, ["CC-BY-NC-ND-4.0"]),
        ("<a href='https://creativecommons.org/about'>Creative Commons</a>", []),
        ("<p>All rights reserved.</p>", []),
    ],
)  # fmt: skip
def test_licences(html: str, names: list[str]) -> None:
    assert licences(html) == names
