"""Local paths of lakes, and the files of a crawl."""

import os
from pathlib import Path

import pytest

from jobs.errors import RecipeError
from jobs.lake.files import conversation_files, crawl_files, local_path


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/data/lake", Path("/data/lake")),
        ("/data/a#b?c", Path("/data/a#b?c")),
        ("file:/data/lake", Path("/data/lake")),
        ("file:///data/lake", Path("/data/lake")),
        ("lake", Path.cwd() / "lake"),
        ("s3a://bucket/lake", None),
        ("hdfs://host:8020/lake", None),
    ],
)
def test_local_path(uri: str, path: Path | None) -> None:
    assert local_path(uri) == path


def test_crawl_files(tmp_path: Path) -> None:
    for name in ("a.warc", "b/c.warc.gz", "b/d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    a, c, d = (str(tmp_path / name) for name in ("a.warc", "b/c.warc.gz", "b/d.txt"))
    assert crawl_files([str(tmp_path)]) == [a, c]
    assert crawl_files([a, f"{tmp_path}/*/*.gz", d]) == [a, c, d]
    (tmp_path / "b/table.parquet").mkdir()
    assert str(tmp_path / "b/table.parquet") in crawl_files([str(tmp_path)]), "it can't be read"
    part = tmp_path / "b/table.parquet/part-0.snappy.parquet"
    part.touch()
    assert crawl_files([str(tmp_path)]) == [a, c, str(part)], "as Spark writes a table"
    assert crawl_files([f"{tmp_path}/b/*.parquet"]) == [str(part)]
    with pytest.raises(RecipeError, match=r"no crawl file at .*none\*, .*gone; name files"):
        crawl_files([a, f"{tmp_path}/none*", f"{tmp_path}/gone"])
    with pytest.raises(RecipeError, match="no paths are given"):
        crawl_files([])
    lake = tmp_path / "lake/bronze/documents"
    (lake / "_delta_log").mkdir(parents=True)
    (lake / "part-0.parquet").touch()
    (tmp_path / "seed.jsonl").touch()
    assert crawl_files([str(tmp_path)], [f"{tmp_path}/*.jsonl"]) == [a, c, str(part)], "neither a lake nor the seed"
    assert crawl_files([f"{tmp_path}/*.jsonl"], [f"{tmp_path}/*.jsonl"]) == [f"{tmp_path}/seed.jsonl"], "it is named"


def test_file_names_that_are_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.warc")).touch()
    with pytest.raises(RecipeError, match=r"the names of 1 files are not UTF-8, such as b'.*xff.warc'; rename"):
        crawl_files([str(tmp_path)])


ODD_NAMES = [
    *("a[1].jsonl", "a{b}.jsonl", "a b.jsonl", "a%20b.jsonl", "a#b.jsonl", "a?b.jsonl", "a*b.jsonl", "a`b.jsonl"),
    *("ü日本.jsonl", "a:b.jsonl", "a\\b.jsonl", "[!a].jsonl", "a'b\".jsonl", "~.jsonl", "100%.jsonl", "[1.jsonl"),
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_existing_name_is_not_a_glob(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file, other = tmp_path / name, tmp_path / "a1.jsonl"
    for path in (file, other):
        path.touch()
    folder = tmp_path / "in" / name
    folder.mkdir(parents=True)
    (folder / name).touch()
    monkeypatch.chdir(tmp_path)
    for given in (str(file), name):
        assert crawl_files([given]) == [str(file)]
        assert conversation_files([given]) == ([str(file)], [])
    assert crawl_files([str(folder)]) == [str(folder / name)] == conversation_files([str(folder)])[0]
    assert crawl_files([f"{tmp_path}/*.jsonl"], [str(file)]) == sorted([str(file), str(other)])
    assert crawl_files([str(tmp_path)], [name]) == sorted([str(other), str(folder / name)]), "that is the seed"
    file.unlink()
    if name == "a[1].jsonl":
        assert crawl_files([str(file)]) == conversation_files([str(file)])[0] == [str(other)], "then it is a pattern"


def test_conversation_files(tmp_path: Path) -> None:
    for name in ("a.jsonl", "more/b [1].jsonl.gz", "more/_hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    a, b = str(tmp_path / "a.jsonl"), str(tmp_path / "more/b [1].jsonl.gz")
    assert conversation_files([a, str(tmp_path / "more"), "s3a://bucket/seed"]) == ([a, b], ["s3a://bucket/seed"])
    with pytest.raises(RecipeError, match=r"2 of 3 match no file: .*none, .*/no\*; correct them"):
        conversation_files([a, f"{tmp_path}/none", f"{tmp_path}/no*"])
    with pytest.raises(RecipeError, match="paths is empty"):
        conversation_files([])
