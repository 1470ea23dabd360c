"""Write-audit-publish: stage, audit with Great Expectations, commit once, release last."""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from pyspark.sql import DataFrame

from expectations.audit import audit
from expectations.suites import suite
from jobs.errors import StoppedError
from jobs.lake import conform
from jobs.lake.files import local_path
from jobs.lake.materialised import materialised
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from schemas.content_digest import combine, content_digest
from schemas.ops import RELEASES
from schemas.table import Table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Release:
    """A published version of a slice of a gold table."""

    version: int
    n_rows: int
    content_digest: str


def publish(
    lake: RunLake, table: Table, rows: DataFrame, *, slice: Mapping[str, object], iteration: int, min_rows: int
) -> Release:
    """Publish `rows` (which may carry `drop_reason`) as the new content of `slice`.

    Nothing is committed if the slice already holds exactly these rows and its newest release records them, or
    if the audit of the staged rows finds a critical expectation broken.

    Raises:
        StoppedError: critical expectations failed; the message names each, and the report's path.
    """
    staged = materialised(rows)
    kept = staged.where("drop_reason IS NULL") if "drop_reason" in staged.columns else staged
    kept = kept.select(*table.columns)
    n_rows, digest = digest_of(kept)
    newest = newest_release(lake, table, slice)
    if (
        newest
        and (newest.n_rows, newest.content_digest) == (n_rows, digest)
        and _still_holds(lake, table, slice, newest)
    ):
        return newest
    report_folder = f"expectations/{table.name}/{lake.run.run_id}"
    result = audit(kept, suite(table, min_rows=min_rows), lake.folder("reports") / report_folder)
    if result.failures:
        raise StoppedError(
            f"{table.name} where {conform.predicate(slice)}: nothing published, {len(result.failures)} expectations "
            f"failed on {n_rows:,} staged rows: {'; '.join(result.failures)}; report: {result.report}"
        )
    for warning in result.warnings:
        log.warning("%s where %s: %s; report: %s", table.name, conform.predicate(slice), warning, result.report)
    version = lake.write(table, staged, slice=slice, computed=True)
    assert version is not None
    n_rows, digest = digest_of(lake.at(table, version).where(conform.predicate(slice)))
    release = Release(version, n_rows, digest)
    report = f"reports/{report_folder}/index.html" if local_path(lake.root) else None
    _record(lake, table, slice, iteration, release, report)
    return release


def digest_of(rows: DataFrame) -> tuple[int, str]:
    """Compute the row count and the order-independent digest of `rows`, by `content_digest` on the executors."""

    def part(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        n_rows, digest = content_digest(batches)
        yield pa.RecordBatch.from_pydict({"n_rows": [n_rows], "digest": [digest]})

    parts = rows.mapInArrow(part, "n_rows bigint, digest string").collect()
    return combine((part_digest.n_rows, part_digest.digest) for part_digest in parts)


def newest_release(lake: Lake, table: Table, slice: Mapping[str, object]) -> Release | None:
    """Return the release of `slice` with the highest version, or None."""
    key = (table.name, conform.predicate(slice))
    releases = [row for row in lake.collected(RELEASES) if (row.table, row.slice) == key]
    newest = max(releases, key=lambda row: row.version, default=None)
    return Release(newest.version, newest.n_rows, newest.content_digest) if newest else None


def _still_holds(lake: Lake, table: Table, slice: Mapping[str, object], release: Release) -> bool:
    """Return whether the slice still holds the released rows; a run may be killed between commit and release."""
    version = lake.version(table)
    if version is None or version == release.version:
        return version is not None
    current = digest_of(lake.at(table, version).where(conform.predicate(slice)))
    return current == (release.n_rows, release.content_digest)


def _record(
    lake: RunLake, table: Table, slice: Mapping[str, object], iteration: int, release: Release, report: str | None
) -> None:
    identity = "\u001f".join([table.name, conform.predicate(slice), str(release.version), release.content_digest])
    row = {
        "release_id": hashlib.sha256(identity.encode()).hexdigest(),
        "table": table.name,
        "experiment": lake.run.experiment,
        "iteration": iteration,
        "slice": conform.predicate(slice),
        "version": release.version,
        "n_rows": release.n_rows,
        "content_digest": release.content_digest,
        "expectations_report": report,
        "published_at": datetime.now(UTC),
    }
    lake.insert(RELEASES, [row])
