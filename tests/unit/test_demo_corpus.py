"""The demo's input, made from small packages that the tests generate."""

import gzip
import hashlib
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.demo.__main__ import main
from jobs.demo.corpus import pages_of, sources_of, write_corpus
from jobs.demo.packages import Package, files_of
from jobs.demo.seed import questions_of, write_seed
from jobs.demo.sources import SEED_URL_PREFIXES, SOURCES, Source, python_source
from jobs.demo.warc import Page, read_warc, write_warc
from jobs.errors import JobError
from jobs.recipe.loading import RECIPES, load_recipe
from transforms.crawl.documents import file_rows

DATE = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)
ANSWER = "It is a made-up answer of a length that a person might well have written down. " * 4
FAQ = f"""<html><head><meta charset="utf-8"><title>FAQ</title></head><body><h1>Questions</h1>
<h2>1.1. What is this?</h2><p>{ANSWER}</p><h2>1.2. Short?</h2><p>Yes.</p>
<h2>1.3. A remark</h2><p>{ANSWER}</p><h2>1.4. Long?</h2><p>{ANSWER * 9}</p></body></html>"""

needs_dpkg = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="makes packages with dpkg-deb")


class Shelf:
    """An archive of generated packages."""

    def __init__(self, folder: Path, **trees: dict[str, str]) -> None:
        self.folder = folder
        self.trees = {name.replace("_", "-"): tree for name, tree in trees.items()}
        self.asked: list[str] = []

    def names(self, pattern: str) -> list[str]:
        return [name for name in self.trees if name.startswith("python3.")]

    def obtain(self, name: str) -> tuple[Package, Path] | None:
        self.asked.append(name)
        if name not in self.trees:
            return None
        file = packed(self.folder / name, self.trees[name])
        return Package(name, "1.0", "all", hashlib.sha256(file.read_bytes()).hexdigest()), file


def packed(folder: Path, tree: dict[str, str]) -> Path:
    for path, text in {"DEBIAN/control": CONTROL.format(name=folder.name), **tree}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    file = folder.with_suffix(".deb")
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", folder, file], check=True, capture_output=True)
    return file


CONTROL = "Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: none <none@localhost>\nDescription: none\n"


def page(n: int) -> str:
    return f"<html><body><h1>Page {n}</h1><p>Text.</p></body></html>"


def test_every_seed_prefix_belongs_to_a_source() -> None:
    sites = [source.url for source in (*SOURCES, python_source("python3.12-doc"))]
    assert all(any(prefix.startswith(site) for site in sites) for prefix in SEED_URL_PREFIXES)
    assert len({source.package for source in SOURCES}) == len(SOURCES)


def test_the_demo_keeps_the_seeds_pages_out_of_its_pool() -> None:
    assert load_recipe(RECIPES / "demo.toml").select_unlabelled.exclude_url_prefixes == SEED_URL_PREFIXES


def test_pages_are_chosen_by_hash_and_seed_pages_always() -> None:
    source = Source("sqlite3-doc", "r", "https://www.sqlite.org/", "none", limit=20)
    files = [(f"{n}.html", b"x", DATE) for n in range(100)] + [
        ("faq.html", b"x", DATE),
        ("a.css", b"x", DATE),
    ]
    pages = pages_of(source, files)
    assert len(pages) == 20
    assert "https://www.sqlite.org/faq.html" in [p.url for p in pages]
    assert pages == pages_of(source, reversed(files)) == sorted(pages, key=lambda p: p.url)


def test_pages_take_their_sites_names() -> None:
    source = Source("p", "r", "https://site/", "none", pages=("a/*.html",), renamed=(".html", ".en.html"))
    files = [("a/b.html", b"x", DATE), ("c.html", b"x", DATE), ("a/empty.html", b"", DATE)]
    assert [p.url for p in pages_of(source, files)] == ["https://site/a/b.en.html"]


def test_a_written_warc_reads_back_here_and_in_the_lake(tmp_path: Path) -> None:
    pages = [Page(f"https://site/{n}.html", page(n).encode(), DATE) for n in range(3)]
    for name in ("a", "b"):
        write_warc(tmp_path / f"{name}.warc.gz", pages)
    assert (tmp_path / "a.warc.gz").read_bytes() == (tmp_path / "b.warc.gz").read_bytes()
    assert list(read_warc(tmp_path / "a.warc.gz")) == pages
    rows = list(file_rows(str(tmp_path / "a.warc.gz"), 2**20))
    assert [(r["url"], r["content"], r["crawled_at"]) for r in rows] == [(p.url, p.html.decode(), DATE) for p in pages]


def test_a_warc_is_written_atomically(tmp_path: Path) -> None:
    def pages():
        yield Page("https://site/1.html", b"x", DATE)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_warc(tmp_path / "a.warc.gz", pages())
    assert not (tmp_path / "a.warc.gz").exists()


@needs_dpkg
def test_files_of_a_package_are_read_without_unpacking(tmp_path: Path) -> None:
    tree = {"usr/doc/a/1.html": "one", "usr/doc/a/b/2.html": "two", "usr/doc/ab/3.html": "three"}
    (tmp_path / "p/usr/doc/a").mkdir(parents=True)
    (tmp_path / "p/usr/doc/a/link.html").symlink_to("1.html")
    found = list(files_of(packed(tmp_path / "p", tree), "usr/doc/a"))
    assert sorted((path, content) for path, content, _ in found) == [("1.html", b"one"), ("b/2.html", b"two")]
    assert found[0][2].tzinfo is UTC


@needs_dpkg
def test_a_damaged_package(tmp_path: Path) -> None:
    file = packed(tmp_path / "p", {"usr/a/1.html": page(1)})
    file.write_bytes(file.read_bytes()[:80])
    with pytest.raises(JobError, match=r"p\.deb: dpkg-deb cannot unpack it: "):
        list(files_of(file, "usr/a"))


@needs_dpkg
def test_corpus_and_seed(tmp_path: Path) -> None:
    by_name = {source.package: source for source in SOURCES}
    faq, postfix = by_name["debian-faq"].root, by_name["postfix-doc"].root
    shelf = Shelf(
        tmp_path / "packages",
        debian_faq={f"{faq}/basics.en.html": FAQ},
        postfix_doc={f"{postfix}/{n}.html": page(n) for n in range(3)},
        git_doc={"usr/elsewhere/1.html": page(1)},
        **{"python3.12_doc": {"usr/share/doc/python3.12/html/faq/general.html": FAQ.replace("this", "that")}},
    )
    said: list[str] = []
    out = tmp_path / "corpus"
    write_corpus(out, lambda: shelf, said.append)

    assert [(e["package"], e["documents"]) for e in sources_of(out)] == [
        ("debian-faq", 1),
        ("postfix-doc", 3),
        ("python3.12-doc", 1),
    ]
    assert sorted(p.name for p in out.glob("*.warc.gz")) == [e["warc"] for e in sources_of(out)]
    assert sources_of(out)[0] | {"sha256": len(sources_of(out)[0]["sha256"])} == {
        "package": "debian-faq",
        "version": "1.0",
        "sha256": 64,
        "licence": "LicenseRef-Debian-FAQ",
        "url": "https://www.debian.org/doc/manuals/debian-faq/",
        "warc": "debian-faq.warc.gz",
        "documents": 1,
    }
    assert "gimp-help-en: apt does not offer it here, skipped" in said
    assert "git-doc 1.0: no pages below usr/share/doc/git-doc, skipped" in said
    assert said[-1].startswith("5 pages of 3 packages in ")

    write_seed(out, 1000, said.append)
    pairs = [json.loads(line) for line in (out / "seed.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(p["instruction"], p["source"], p["url"]) for p in pairs] == [
        ("What is that?", "python3.12-doc", "https://docs.python.org/3/faq/general.html"),
        ("What is this?", "debian-faq", "https://www.debian.org/doc/manuals/debian-faq/basics.en.html"),
    ]
    assert pairs[0]["response"] == ANSWER.strip()
    assert (pairs[0]["language"], pairs[0]["licence"]) == ("en", "PSF-2.0")

    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in out.rglob("*") if file.is_file()}
    shelf.asked.clear()
    write_corpus(out, lambda: shelf, said.append)
    write_seed(out, 1000, said.append)
    assert not {"debian-faq", "postfix-doc"} & set(shelf.asked)
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in before} == before


def test_an_archive_without_any_of_the_packages(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="apt offers none of debian-faq, sqlite3-doc, "):
        write_corpus(tmp_path, lambda: Shelf(tmp_path), lambda line: None)
    with pytest.raises(JobError, match="holds a question with an answer"):
        write_seed(tmp_path, 1000, lambda line: None)


def test_a_whole_corpus_needs_no_archive(tmp_path: Path) -> None:
    names = [*(source.package for source in SOURCES), "python3.11-doc"]
    for name in names:
        (tmp_path / f"{name}.warc.gz").write_bytes(gzip.compress(b""))
    entries = [{"package": name, "warc": f"{name}.warc.gz", "documents": 1} for name in names]
    (tmp_path / "sources.json").write_text(json.dumps(entries))
    write_corpus(tmp_path, lambda: pytest.fail("asked for packages"), lambda line: None)


def test_questions_are_headers_or_numbered_paragraphs() -> None:
    sphinx = "<h3><a class='toc-backref'>Why?</a><a class='headerlink'>¶</a></h3><p>So.</p><h3>No</h3><p>x</p>"
    assert questions_of(sphinx) == [("Why?", "So.")]
    sqlite = "<p><b>(1) How\n so?</b></p><p>A.</p><p>B.</p><p><b>(2) Not asked!</b></p><p>C.</p>"
    assert questions_of(sqlite) == [("How so?", "A.\n\nB.")]
    assert questions_of("<h2>And?</h2>") == []


def test_a_host_without_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"--set 'ingest_documents\.paths=\[\"crawl/\*\.warc\.gz\"\]'"):
        main(["--out", str(tmp_path / "corpus")])
