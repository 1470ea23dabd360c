"""Debian packages, downloaded to a folder and read there; nothing is installed and root is not needed."""

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import PIPE
from typing import Self

from jobs.errors import JobError

NO_APT = (
    "the demo's pages come from Debian's documentation packages, and this host has no apt-get and dpkg-deb; "
    "run your own crawl instead: humpback run --set 'ingest_documents.paths=[\"crawl/*.warc.gz\"]' "
    "--set 'ingest_conversations.paths=[\"seed.jsonl\"]'"
)


@dataclass(frozen=True)
class Package:
    """A version of a package that the host's apt offers."""

    name: str
    version: str
    architecture: str
    sha256: str

    @property
    def filename(self) -> str:
        """The name that apt-get gives the downloaded file."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


def run_quietly(command: Sequence[str], folder: Path) -> str:
    """Run a command in `folder`, in English and without prompts, and return its standard output."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


class Archive:
    """The packages that the host's apt offers, by the host's package lists or, if those fail, by fresh ones."""

    def __init__(self, cache: Path, run: Callable[[Sequence[str], Path], str] = run_quietly) -> None:
        """`cache` receives the downloads and any fresh package lists; `run` calls apt there."""
        self.run = run
        self.cache = cache.resolve()
        self.options: list[str] = []

    @classmethod
    def of_this_host(cls, cache: Path) -> Self:
        """Open the archive of this host.

        Raises:
            JobError: the host has no apt.
        """
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            raise JobError(NO_APT)
        return cls(cache)

    def names(self, pattern: str) -> list[str]:
        """List the available names that match the whole regular expression, the newest version last."""
        matches = [name for name in self._apt("apt-cache", "pkgnames").split() if re.fullmatch(pattern, name)]
        if not matches and self._refresh():
            return self.names(pattern)
        return sorted(matches, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])

    def find(self, name: str) -> Package | None:
        """Return the package as apt would install it, or None if it is not available."""
        output = self._apt("apt-cache", "show", "--no-all-versions", name)
        fields = dict(re.findall(r"^(Version|Architecture|SHA256): (.*)$", output, re.MULTILINE))
        if len(fields) < 3:
            return None
        return Package(name, fields["Version"], fields["Architecture"], fields["SHA256"])

    def obtain(self, name: str) -> tuple[Package, Path] | None:
        """Return the package and its downloaded file, or None if it is not available.

        Raises:
            JobError: apt could not download it, or the file is not the one that apt's lists name.
        """
        package = self.find(name)
        file = self._download(package) if package else None
        if file is None and self._refresh():  # no lists here, or old ones that name a version now gone
            package = self.find(name)
            file = self._download(package) if package else None
        if package is None:
            return None
        if file is None:
            raise JobError(f"{name} {package.version}: apt-get could not download it; check the network")
        if (actual := _sha256(file)) != package.sha256:
            raise JobError(f"{file}: its SHA-256 is {actual}; apt lists {package.sha256}")
        return package, file

    def _download(self, package: Package) -> Path | None:
        file = self.cache / package.filename
        if file.exists() and _sha256(file) != package.sha256:  # its download was cut off
            file.unlink()
        if not file.exists():
            self._apt("apt-get", "download", f"{package.name}={package.version}")
        return file if file.exists() else None

    def _refresh(self) -> bool:
        """Fetch package lists into the cache, once, and use them from now on instead of the system's."""
        if self.options:
            return False
        lists, apt = self.cache / "lists", self.cache / "apt"
        for folder in (lists, apt / "archives"):
            (folder / "partial").mkdir(parents=True, exist_ok=True)
        self.options = ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={apt}"]
        if os.geteuid() == 0:  # otherwise apt switches to a user who cannot write here
            self.options += ["-o", "APT::Sandbox::User=root"]
        self._apt("apt-get", "update")
        return True

    def _apt(self, command: str, *arguments: str) -> str:
        """Run an apt command and return its output; a failure shows only in missing output or files."""
        return self.run([command, "-q", *self.options, *arguments], self.cache)


def files_of(package: Path, root: str) -> Iterator[tuple[str, bytes, datetime]]:
    """Yield the regular files below the folder `root` of a package: path below it, content, modification time.

    Raises:
        JobError: the file is not a package, or is damaged.
    """
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE) as unpacking:
        assert unpacking.stdout is not None
        assert unpacking.stderr is not None
        try:
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as members:
                for member in members:
                    path = member.name.removeprefix("./").removeprefix(f"{root}/")
                    if member.isfile() and member.name == f"./{root}/{path}":
                        content = members.extractfile(member)
                        assert content is not None
                        yield path, content.read(), datetime.fromtimestamp(member.mtime, UTC)
        except tarfile.TarError as error:
            reason = unpacking.stderr.read().decode(errors="replace").strip() or error
            raise JobError(f"{package}: dpkg-deb cannot unpack it: {reason}") from error


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
