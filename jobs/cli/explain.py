"""What became of a page: every piece with the reason it was kept or dropped, down to its scores and releases.

Command line: `humpback explain URL_OR_ID --lake URI`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.cli.printing import plain
from jobs.current.methods import noted_by_any
from jobs.errors import JobError
from jobs.lake.tables import Lake
from schemas import BY_NAME
from schemas.bronze import DOCUMENTS
from schemas.gold import CURATED, TRAINING_EXAMPLES
from schemas.ops import QUARANTINE, RELEASES
from schemas.silver import CANDIDATES, DUPLICATES, OVERLAPS, SCORES, SEGMENTS, UNLABELLED

SHORT = 12  # characters of an id that are printed; as many are enough to ask with
LEAST_PREFIX = 8
MAX_SHOWN = 5
MAX_REJECTED = 20
PAIR_IN = {CURATED.name: "pair_id", TRAINING_EXAMPLES.name: "source_id"}
Row = dict[str, Any]


def explain(lake: Lake, subject: str) -> str:
    """The story of a page as text. `subject`: its URL, or a document's, segment's or candidate's id or its start.

    Raises:
        JobError: nothing in the lake goes by that name.
    """
    pages, pieces = _found(lake, subject)
    rejected = _rejected(lake, subject, pages)
    if not pages and not pieces and not rejected:
        raise JobError(
            f"{subject}: no URL, document, segment or candidate of this name in {lake.root}; "
            f"an id may be shortened to its first {LEAST_PREFIX} characters or more"
        )
    story = _Story(lake, [piece["segment_id"] for piece in pieces])
    lines = [line for url, versions in _by(pages, "url").items() for line in _page_lines(url, versions, pieces, story)]
    lines += [f"quarantined from {r['table']}: {r['rule']} ({r['detail']})" for r in rejected]
    return "\n".join(plain(line) for line in lines)


def _found(lake: Lake, subject: str) -> tuple[list[Row], list[Row]]:
    """The documents and pieces of every page that the subject names, all versions of it, oldest first."""
    documents = lake.read(DOCUMENTS).drop("content")
    pieces = lake.read(SEGMENTS).drop("text")
    by_page = (F.col("url") == subject) | _starts("document_id", subject)
    candidates = lake.read(CANDIDATES).where(_starts("candidate_id", subject)).select("segment_id")
    named = pieces.where(by_page | _starts("segment_id", subject)).select("url")
    named = named.union(pieces.join(candidates, "segment_id", "left_semi").select("url"))
    named = named.union(documents.where(by_page).select("url"))
    mine = F.col("url").isin([row.url for row in named.distinct().collect()])
    pages = documents.where(mine).orderBy("url", "crawled_at", "document_id")
    return _rows(pages), _rows(pieces.where(mine).orderBy("method_digest", "position"))


def _starts(column: str, subject: str) -> Any:
    return F.col(column).startswith(subject) if len(subject) >= LEAST_PREFIX else F.lit(False)


def _rejected(lake: Lake, subject: str, pages: list[Row]) -> list[Row]:
    """Defective rows that name the subject or one of its documents."""
    named = F.lit(False)
    if len(subject) >= LEAST_PREFIX:  # a shorter text is in every payload
        told = F.concat_ws(" ", "row_id", "detail", "payload")
        named = F.contains(told, F.lit(subject))
    for page in pages:
        same = (F.col("source_file") == page["source_file"]) & (F.col("record_offset") == page["record_offset"])
        named = named | F.contains("row_id", F.lit(page["document_id"])) | F.coalesce(same, F.lit(False))
    rejected = (
        lake.read(QUARANTINE).where(named & F.col("resolved_by").isNull()).select("table", "rule", "detail").distinct()
    )
    return _rows(rejected.orderBy("table", "rule", "detail").limit(MAX_REJECTED))


class _Story:
    """All that the later tables say about some segments, by segment or candidate."""

    def __init__(self, lake: Lake, segment_ids: list[str]) -> None:
        self.current = noted_by_any(lake)
        mine = F.col("segment_id").isin(segment_ids)
        repeats = _rows(lake.read(DUPLICATES).where(mine).orderBy("method_digest"))
        self.keeper = _by(repeats, "segment_id")
        theirs = F.col("segment_id").isin([repeat["keeper_id"] for repeat in repeats])
        keepers = _rows(lake.read(SEGMENTS).where(theirs).select("segment_id", "header", "url"))
        self.place = {keeper["segment_id"]: f"{keeper['header']} on {keeper['url']}" for keeper in keepers}
        kept_for = (
            lake.read(DUPLICATES)
            .where(F.col("keeper_id").isin(segment_ids))
            .groupBy("keeper_id")
            .agg(
                F.count_distinct("segment_id").alias("n"),
                F.slice(F.sort_array(F.collect_set("segment_id")), 1, MAX_SHOWN).alias("some"),
            )
        )
        self.kept_for = _by(_rows(kept_for), "keeper_id")
        self.drawn = _by(_rows(lake.read(UNLABELLED).where(mine).select("segment_id", "experiment")), "segment_id")
        overlaps = _rows(lake.read(OVERLAPS).where(mine).orderBy("experiment", "known_set", "known_id"))
        self.overlaps = _by(overlaps, "segment_id")
        candidates = _rows(lake.read(CANDIDATES).where(mine).drop("response").orderBy("model_id", "candidate_id"))
        self.candidates = _by(candidates, "segment_id")
        ids = [candidate["candidate_id"] for candidate in candidates]
        asked = F.col("pair_id").isin(ids)
        scores = lake.read(SCORES).where(asked).orderBy("model_id", "scorer", "method_digest")
        self.scores = _by(_rows(scores), "pair_id")
        curated = lake.read(CURATED).where(asked).drop("instruction", "response", "url")
        self.curated = _by(_rows(curated.orderBy("experiment", "iteration")), "pair_id")
        self.released = _by(_released(lake, ids) if ids else [], "pair_id")

    def counts(self, row: Row) -> str:
        """The row's method digest, and a note where no experiment goes by it any more."""
        digest = str(row["method_digest"])
        return digest if digest in self.current else f"{digest} (no longer counts)"


def _released(lake: Lake, pair_ids: list[str]) -> list[Row]:
    """In which released slices the pairs are, whatever the tables hold now."""
    releases = lake.read(RELEASES).where(F.col("table").isin([*PAIR_IN])).orderBy("table", "version").collect()
    found = [
        lake.at(BY_NAME[r.table], r.version)
        .where(F.expr(r.slice) & F.col(PAIR_IN[r.table]).isin(pair_ids))
        .select(
            F.col(PAIR_IN[r.table]).alias("pair_id"),
            F.lit(f"{r.table} VERSION AS OF {r.version} where {r.slice}").alias("place"),
        )
        for r in releases
    ]
    return _rows(reduce(DataFrame.union, found)) if found else []


def _page_lines(url: str, versions: list[Row], pieces: list[Row], story: _Story) -> Iterator[str]:
    yield f"page {url}"
    newest = max(versions, key=lambda page: (page["crawled_at"] or datetime.min, page["document_id"]))
    for page in versions:
        fate = "" if page is newest else f"; superseded by {newest['document_id'][:SHORT]}"
        yield (
            f"  document {page['document_id'][:SHORT]} crawled {page['crawled_at'] or 'at an unknown time'} "
            f"({page['charset']}), from {page['source_file']} at offset {page['record_offset']:,}{fate}"
        )
        yield from _document_lines([piece for piece in pieces if piece["document_id"] == page["document_id"]], story)


def _document_lines(mine: list[Row], story: _Story) -> Iterator[str]:
    if not mine:
        yield "  no pieces: not segmented yet"
    several = len({piece["method_digest"] for piece in mine}) > 1
    for piece in mine:
        method = f" by method {story.counts(piece)}" if several else ""
        verdict = f"dropped, {piece['drop_reason']}" if piece["drop_reason"] else "kept"
        header = " > ".join([*piece["header_path"], piece["header"]]) or "(no header)"
        size = f"{piece['n_chars']:,} characters, {piece['language'] or 'language not looked at'}"
        yield f"  piece {piece['position']} {piece['segment_id'][:SHORT]} {header} ({size}){method}: {verdict}"
        if piece["replaced"]:
            yield "    replaced " + ", ".join(f"{kind} {n}" for kind, n in sorted(piece["replaced"].items()))
        if not piece["drop_reason"]:
            yield from ("    " + line for line in _piece_lines(piece["segment_id"], story))


def _piece_lines(segment_id: str, story: _Story) -> Iterator[str]:
    for repeat in story.keeper[segment_id]:
        where = f"{repeat['keeper_id'][:SHORT]} {story.place[repeat['keeper_id']]}"
        yield f"{repeat['kind']} duplicate (Jaccard {repeat['jaccard']:.2f}) of {where}, which is kept for it"
    for kept in story.kept_for[segment_id]:
        some = ", ".join(other[:SHORT] for other in kept["some"])
        yield f"kept for {kept['n']:,} duplicates: {some}{', ...' if kept['n'] > MAX_SHOWN else ''}"
    drawn = [row["experiment"] for row in story.drawn[segment_id]]
    yield f"in the unlabelled set of {', '.join(sorted(drawn))}" if drawn else "not drawn into an unlabelled set"
    for row in story.overlaps[segment_id]:
        yield f'kept out of {row["experiment"]} by {row["known_id"]} of {row["known_set"]}: "{row["phrase"]}"'
    for candidate in story.candidates[segment_id]:
        of = f"{candidate['candidate_id'][:SHORT]} by {candidate['model_id']}"
        method = f", method {story.counts(candidate)}" if len(story.candidates[segment_id]) > 1 else ""
        yield f"candidate {of}{method}: {candidate['instruction']}"
        scores = story.scores[candidate["candidate_id"]]
        asked = Counter((score["scorer"], score["model_id"]) for score in scores)
        for score in scores:
            value = f"{score['score']:.3f}" if score["score"] is not None else f"none, {score['status']}"
            judge = score["scorer"], score["model_id"]
            method = f", method {story.counts(score)}" if asked[judge] > 1 else ""
            yield f"  {' by '.join(judge)}{method}: {value}"
        curated = story.curated[candidate["candidate_id"]]
        for row in curated:
            yield (
                f"  curated for {row['experiment']}, iteration {row['iteration']}: {row['scorer']} {row['score']:.3f} "
                f">= {row['threshold']:.3f}"
            )
        if not curated:
            yield "  in no curated set now"
        for release in story.released[candidate["candidate_id"]]:
            yield f"  released in {release['place']}"


def _rows(frame: DataFrame) -> list[Row]:
    return [row.asDict() for row in frame.collect()]


def _by(rows: Iterable[Row], key: str) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row[key]].append(row)
    return grouped
