"""apt, imitated: what the archive does with lists and downloads in any state."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from jobs.demo.packages import Archive
from jobs.errors import JobError

CONTENT = b"a package"
LISTED = hashlib.sha256(CONTENT).hexdigest()


class Apt:
    """Answers as apt does; `listed` and `served` say which version its lists name and the mirror has."""

    def __init__(self, listed: str | None, served: str = "1:2") -> None:
        self.listed, self.served, self.content = listed, served, CONTENT
        self.said: list[str] = []

    def update(self) -> None:
        self.listed = self.served

    def run(self, command: Sequence[str], folder: Path) -> str:
        words = [word for word in command if not word.startswith(("-", "Dir::", "APT::"))]
        self.said.append(" ".join(words))
        out = ""
        if words[1] == "update":
            self.update()
        elif words[1] == "pkgnames" and self.listed:
            out = "python3.9-doc\npython3-doc\npython3.11-doc\npython3.11\n"
        elif words[1] == "show" and self.listed:
            out = f"Package: {words[2]}\nVersion: {self.listed}\nArchitecture: all\nSHA256: {LISTED}\n"
        elif words[1] == "download" and self.listed == self.served:
            name, _, version = words[2].partition("=")
            (folder / f"{name}_{version.replace(':', '%3a')}_all.deb").write_bytes(self.content)
        return out


def test_a_package_is_downloaded_once(tmp_path: Path) -> None:
    apt = Apt(listed="1:2")
    for _ in range(2):
        package, file = Archive(tmp_path, apt.run).obtain("git-doc") or pytest.fail("not on offer")
        assert (package.version, file) == ("1:2", tmp_path / "git-doc_1%3a2_all.deb")
    assert apt.said == ["apt-cache show git-doc", "apt-get download git-doc=1:2", "apt-cache show git-doc"]


@pytest.mark.parametrize("listed", [None, "1:1"])
def test_missing_or_old_lists_are_fetched_anew(tmp_path: Path, listed: str | None) -> None:
    apt = Apt(listed)
    package, _ = Archive(tmp_path, apt.run).obtain("git-doc") or pytest.fail("not on offer")
    assert package.version == "1:2"
    assert apt.said.count("apt-get update") == 1
    assert (tmp_path / "lists" / "partial").is_dir()


def test_an_unavailable_package_costs_one_apt_update(tmp_path: Path) -> None:
    apt = Apt(listed=None, served="")
    archive = Archive(tmp_path, apt.run)
    assert [archive.obtain("git-doc"), archive.obtain("postfix-doc"), archive.names("python3.*")] == [
        None,
        None,
        [],
    ]
    assert apt.said.count("apt-get update") == 1


def test_a_truncated_download_is_repeated(tmp_path: Path) -> None:
    apt = Apt(listed="1:2")
    (tmp_path / "git-doc_1%3a2_all.deb").write_bytes(CONTENT[:4])
    _, file = Archive(tmp_path, apt.run).obtain("git-doc") or pytest.fail("not on offer")
    assert file.read_bytes() == CONTENT


def test_a_package_with_another_checksum(tmp_path: Path) -> None:
    apt = Apt(listed="1:2")
    apt.content = b"something else"
    with pytest.raises(JobError, match=f"its SHA-256 is [0-9a-f]{{64}}; apt lists {LISTED}"):
        Archive(tmp_path, apt.run).obtain("git-doc")


def test_no_network(tmp_path: Path) -> None:
    apt = Apt(listed="1:1")
    apt.update = lambda: None
    with pytest.raises(JobError, match=r"git-doc 1:1: apt-get could not download it"):
        Archive(tmp_path, apt.run).obtain("git-doc")


def test_the_newest_python_is_last(tmp_path: Path) -> None:
    apt = Apt(listed="1:2")
    assert Archive(tmp_path, apt.run).names(r"python3\.\d+-doc") == ["python3.9-doc", "python3.11-doc"]
