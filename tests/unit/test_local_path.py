"""Which lakes lie on this machine, and where."""

from pathlib import Path

import pytest

from jobs.lake.files import local_path


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
