"""The history of a page: every piece with its drop reason or that it was kept, down to its scores and releases.

Command line: `humpback explain URL_OR_ID --lake URI`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

from jobs.cli.printing import plain
from jobs.current.notes import noted
from jobs.errors import JobError
from jobs.lake.names import suggestion
from jobs.lake.slices import slices_with
from jobs.lake.view import LakeView, Row
from schemas import BY_NAME
from schemas.gold import CURATED, TRAINING_EXAMPLES

SHORT = 12  # characters of an id that are printed, and that `explain` accepts in its place
MIN_PREFIX = 8
MAX_SHOWN = 5
MAX_REJECTED = 20
MIN_LIKENESS = 0.8  # minimum similarity of an unknown address to a suggested one
PAIR_IN = {CURATED.name: "pair_id", TRAINING_EXAMPLES.name: "source_id"}


def explain(view: LakeView, subject: str) -> str:
    """Return the history of a page as text.

    `subject` is its URL, or the id of a document, segment or candidate or the start of one.

    Raises:
        JobError: nothing in the lake has that name.
    """
    pages, pieces = _pages_and_pieces(view, subject)
    rejected = _rejected(view, subject, pages)
    if not pages and not pieces and not rejected:
        advice = f"; an id may be shortened to its first {MIN_PREFIX} characters or more"
        message = f"{subject}: no URL, document, segment or candidate with this address or id in {view.root}"
        raise JobError(message + (plain(_suggested_url(view, subject)) or advice))
    story = _Story(view, [piece["segment_id"] for piece in pieces])
    lines = [
        line for url, versions in _grouped(pages, "url").items() for line in _page_lines(url, versions, pieces, story)
    ]
    lines += [f"quarantined from {row['table']}: {row['rule']} ({row['detail']})" for row in rejected]
    return "\n".join(plain(line) for line in lines)


def _suggested_url(view: LakeView, subject: str) -> str:
    """Return a hint that names the URL most similar to the subject; empty if the subject is no URL."""
    if "://" not in subject:
        return ""
    similarities = "SELECT DISTINCT url, jaro_winkler_similarity(url, $subject) AS likeness FROM bronze.documents"
    urls = view.rows(f"SELECT url FROM ({similarities}) ORDER BY likeness DESC, url LIMIT 10", {"subject": subject})
    return suggestion(subject, [row["url"] for row in urls], MIN_LIKENESS)


URLS_NAMED = """
SELECT url FROM silver.segments
WHERE url = $subject OR starts_with(document_id, $start) OR starts_with(segment_id, $start)
   OR segment_id IN (SELECT segment_id FROM silver.candidates WHERE starts_with(candidate_id, $start))
UNION SELECT url FROM bronze.documents WHERE url = $subject OR starts_with(document_id, $start)
"""
PAGES = """
SELECT * EXCLUDE (content) FROM bronze.documents WHERE url IN (SELECT unnest($urls::VARCHAR[]))
ORDER BY url, crawled_at NULLS FIRST, document_id
"""
PIECES = """
SELECT * EXCLUDE (text) FROM silver.segments WHERE url IN (SELECT unnest($urls::VARCHAR[]))
ORDER BY method_digest, position
"""


def _pages_and_pieces(view: LakeView, subject: str) -> tuple[list[Row], list[Row]]:
    """Return the documents and pieces of every page that the subject names; all versions of a page, oldest first."""
    named = view.rows(URLS_NAMED, {"subject": subject, "start": _id_prefix(subject)})
    urls = {"urls": [row["url"] for row in named]}
    return view.rows(PAGES, urls), view.rows(PIECES, urls)


def _id_prefix(subject: str) -> str | None:
    """Return the subject as a prefix of ids; None, which matches no id, if it is shorter than `LEAST_PREFIX`."""
    return subject if len(subject) >= MIN_PREFIX else None


REJECTED = f"""
SELECT DISTINCT "table", rule, detail FROM ops.quarantine q
WHERE resolved_by IS NULL AND (
    contains(concat_ws(' ', row_id, detail, payload), $start)
    OR EXISTS (SELECT 1 FROM (SELECT unnest($documents::VARCHAR[]) AS id) d WHERE contains(q.row_id, d.id))
    OR (source_file, record_offset) IN (SELECT unnest($files::VARCHAR[]), unnest($offsets::BIGINT[])))
ORDER BY "table", rule, detail NULLS FIRST LIMIT {MAX_REJECTED}
"""


def _rejected(view: LakeView, subject: str, pages: list[Row]) -> list[Row]:
    """Return the quarantined rows that name the subject or one of its documents.

    The subject is searched for only from `LEAST_PREFIX` characters on: a shorter text is in every payload.
    """
    names = {"documents": "document_id", "files": "source_file", "offsets": "record_offset"}
    values = {name: [page[column] for page in pages] for name, column in names.items()}
    return view.rows(REJECTED, {"start": _id_prefix(subject), **values})


OF_SEGMENTS = "segment_id IN (SELECT unnest($segments::VARCHAR[]))"
OF_PAIRS = "pair_id IN (SELECT unnest($pairs::VARCHAR[]))"
KEEPERS = """
SELECT segment_id, header, url FROM silver.segments WHERE segment_id IN (SELECT unnest($keepers::VARCHAR[]))
"""
KEPT_FOR = f"""
SELECT keeper_id, count(DISTINCT segment_id) AS n, list_sort(list(DISTINCT segment_id))[1:{MAX_SHOWN}] AS examples
FROM silver.duplicates WHERE keeper_id IN (SELECT unnest($segments::VARCHAR[])) GROUP BY keeper_id
"""
CANDIDATES = f"""
SELECT * EXCLUDE (response) FROM silver.candidates WHERE {OF_SEGMENTS} ORDER BY model_id, candidate_id
"""
REWRITES = f"""
SELECT * EXCLUDE (instruction, response) FROM silver.rewrites WHERE {OF_SEGMENTS} ORDER BY model_id, rewrite_id
"""
CURATED_AS = f"""
SELECT * EXCLUDE (instruction, response, url) FROM gold.curated WHERE {OF_PAIRS} ORDER BY experiment, iteration
"""


class _Story:
    """The rows of the later tables on some segments, grouped by segment or candidate."""

    def __init__(self, view: LakeView, segment_ids: list[str]) -> None:
        self.current = set(noted(view).values())
        segments = {"segments": segment_ids}
        duplicates = view.rows(f"SELECT * FROM silver.duplicates WHERE {OF_SEGMENTS} ORDER BY method_digest", segments)
        self.keeper = _grouped(duplicates, "segment_id")
        keepers = view.rows(KEEPERS, {"keepers": [duplicate["keeper_id"] for duplicate in duplicates]})
        self.place = {keeper["segment_id"]: f"{keeper['header']} on {keeper['url']}" for keeper in keepers}
        self.kept_for = _grouped(view.rows(KEPT_FOR, segments), "keeper_id")
        drawn = view.rows(f"SELECT segment_id, experiment FROM silver.unlabelled WHERE {OF_SEGMENTS}", segments)
        self.drawn = _grouped(drawn, "segment_id")
        order = "ORDER BY experiment, known_set, known_id"
        overlaps = view.rows(f"SELECT * FROM silver.overlaps WHERE {OF_SEGMENTS} {order}", segments)
        self.overlaps = _grouped(overlaps, "segment_id")
        candidates = view.rows(CANDIDATES, segments)
        self.candidates = _grouped(candidates, "segment_id")
        rewrites = view.rows(REWRITES, segments)
        self.rewrites = _grouped(rewrites, "parent_id")
        pair_ids = [*(row["candidate_id"] for row in candidates), *(row["rewrite_id"] for row in rewrites)]
        pairs = {"pairs": pair_ids}
        order = "ORDER BY model_id, scorer, method_digest"
        self.scores = _grouped(view.rows(f"SELECT * FROM silver.scores WHERE {OF_PAIRS} {order}", pairs), "pair_id")
        self.curated = _grouped(view.rows(CURATED_AS, pairs), "pair_id")
        self.released = _grouped(_released(view, pairs["pairs"]) if candidates else [], "pair_id")

    def method_label(self, row: Row) -> str:
        """Return the row's method digest, with a note if no experiment uses that method now."""
        method = str(row["method_digest"])
        return method if method in self.current else f"{method} (not the current method)"


def _released(view: LakeView, pair_ids: list[str]) -> list[Row]:
    """Return the released slices that contain the pairs, in order of table, version and slice.

    The slices are read at their released versions.
    """
    releases = view.rows('SELECT "table", version, slice FROM ops.releases')
    slices_of_pairs = []
    for name, column in PAIR_IN.items():
        slices = sorted({(row["version"], row["slice"]) for row in releases if row["table"] == name})
        for pair_id, version, slice in slices_with(view, BY_NAME[name], slices, column, pair_ids):
            slices_of_pairs.append((name, version, slice, pair_id))
    return [
        {"pair_id": pair_id, "place": f"{name} VERSION AS OF {version} where {slice}"}
        for name, version, slice, pair_id in sorted(slices_of_pairs)
    ]


def _page_lines(url: str, versions: list[Row], pieces: list[Row], story: _Story) -> Iterator[str]:
    yield f"page {url}"
    newest = max(versions, key=lambda page: (page["crawled_at"] or datetime.min, page["document_id"]))
    for page in versions:
        suffix = "" if page is newest else f"; superseded by {newest['document_id'][:SHORT]}"
        yield (
            f"  document {page['document_id'][:SHORT]} crawled {page['crawled_at'] or 'at an unknown time'} "
            f"({page['charset']}), from {page['source_file']} at offset {page['record_offset']:,}{suffix}"
        )
        yield from _document_lines([piece for piece in pieces if piece["document_id"] == page["document_id"]], story)


def _document_lines(pieces: list[Row], story: _Story) -> Iterator[str]:
    if not pieces:
        yield "  no pieces: not segmented yet"
    has_several_methods = len({piece["method_digest"] for piece in pieces}) > 1
    for piece in pieces:
        method = f" by method {story.method_label(piece)}" if has_several_methods else ""
        verdict = f"dropped, {piece['drop_reason']}" if piece["drop_reason"] else "kept"
        header = " > ".join([*piece["header_path"], piece["header"]]) or "(no header)"
        size = f"{piece['n_chars']:,} characters, {piece['language'] or 'language not identified'}"
        yield f"  piece {piece['position']} {piece['segment_id'][:SHORT]} {header} ({size}){method}: {verdict}"
        if piece["replaced"]:
            yield "    replaced " + ", ".join(f"{kind} {n}" for kind, n in sorted(piece["replaced"].items()))
        if not piece["drop_reason"]:
            yield from ("    " + line for line in _piece_lines(piece["segment_id"], story))


def _piece_lines(segment_id: str, story: _Story) -> Iterator[str]:
    for duplicate in story.keeper[segment_id]:
        keeper = f"{duplicate['keeper_id'][:SHORT]} {story.place[duplicate['keeper_id']]}"
        yield f"{duplicate['kind']} duplicate (Jaccard {duplicate['jaccard']:.2f}) of {keeper}, which is kept instead"
    for group in story.kept_for[segment_id]:
        examples = ", ".join(other[:SHORT] for other in group["examples"])
        yield f"kept instead of {group['n']:,} duplicates: {examples}{', ...' if group['n'] > MAX_SHOWN else ''}"
    drawn = [row["experiment"] for row in story.drawn[segment_id]]
    yield f"in the pool of {', '.join(sorted(drawn))}" if drawn else "not drawn into a pool"
    for row in story.overlaps[segment_id]:
        yield f'left out of {row["experiment"]}: shares "{row["phrase"]}" with {row["known_id"]} of {row["known_set"]}'
    for candidate in story.candidates[segment_id]:
        candidate_label = f"{candidate['candidate_id'][:SHORT]} by {candidate['model_id']}"
        method = f", method {story.method_label(candidate)}" if len(story.candidates[segment_id]) > 1 else ""
        yield f"candidate {candidate_label}{method}: {candidate['instruction']}"
        scores = story.scores[candidate["candidate_id"]]
        n_scores = Counter((score["scorer"], score["model_id"]) for score in scores)
        for score in scores:
            value = f"{score['score']:.3f}" if score["score"] is not None else f"none, {score['status']}"
            judge = score["scorer"], score["model_id"]
            method = f", method {story.method_label(score)}" if n_scores[judge] > 1 else ""
            yield f"  {' by '.join(judge)}{method}: {value}"
        yield from ("  " + line for line in _release_lines(candidate["candidate_id"], story))
        for rewrite in story.rewrites[candidate["candidate_id"]]:
            verdict = f"dropped, {rewrite['drop_reason']}" if rewrite["drop_reason"] else "kept"
            yield f"  rewrite {rewrite['rewrite_id'][:SHORT]} by {rewrite['model_id']}: {verdict}"
            yield from ("    " + line for line in _unsupported_lines(rewrite["supports"] or []))
            if not rewrite["drop_reason"]:
                yield from ("    " + line for line in _release_lines(rewrite["rewrite_id"], story))


def _release_lines(pair_id: str, story: _Story) -> Iterator[str]:
    curated = story.curated[pair_id]
    for row in curated:
        yield (
            f"curated for {row['experiment']}, iteration {row['iteration']}: {row['scorer']} {row['score']:.3f} "
            f">= {row['threshold']:.3f}"
        )
    if not curated:
        yield "in no curated set now"
    for release in story.released[pair_id]:
        yield f"released in {release['place']}"


def _unsupported_lines(supports: list[Row]) -> Iterator[str]:
    """Yield the sentences of a rewritten response that the segment does not support, with what it lacks."""
    claims = [support for support in supports if support["is_supported"] is not None]
    unsupported = [support for support in claims if not support["is_supported"]]
    if unsupported:
        yield f"{len(unsupported)} of its {len(claims)} sentences have no support in the piece:"
    for support in unsupported:
        lacks = f" (the piece lacks {', '.join(support['missing'])})" if support["missing"] else ""
        yield f'  "{support["sentence"]}"{lacks}'


def _grouped(rows: Iterable[Row], key: str) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row[key]].append(row)
    return grouped
