"""A small lake of invented rows in the state after a finished run, for the report and `explain`."""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np

from jobs.lake.conform import predicate
from jobs.recipe.config import Recipe
from schemas.bronze import COMPLETIONS, DOCUMENTS, EVALUATION_PROMPTS
from schemas.gold import CURATED, EVALUATIONS, GENERATIONS, JUDGEMENTS, TRAINING_EXAMPLES
from schemas.ops import BASE_MODELS, MODELS, OUTSIDE_MODELS, PROMPTS, QUARANTINE, RECIPES, RELEASES, RUNS
from schemas.silver import (
    CANDIDATES,
    DUPLICATES,
    KNOWN_SCORES,
    OVERLAPS,
    REWRITES,
    SCORES,
    SEED_PAIRS,
    SEGMENTS,
    UNLABELLED,
)
from tests.planted import plant
from transforms.scoring.scorers import asking

NOW = datetime(2026, 1, 2, 3, 0, 0, tzinfo=UTC)
TOPICS = ("disk", "kernel", "package", "font", "printer", "mail queue", "index", "branch")
SENTENCES = (
    "The installer shows every {} that it finds and asks which one to use.",
    "A {} can be checked at any time without stopping the system.",
    "When the {} is full, the oldest entries are written to the journal first.",
    "Nothing is changed until the summary of the {} has been confirmed.",
    "Several users may look at the same {}, but only one of them may change it.",
)
HOSTILE = '<script>alert("text")</script><img src=x onerror=alert(1)>'
N_PAGES, N_PIECES = 40, 6
BASE, BACKWARD, FORWARD = (
    "base-eeeeee",
    "backward-0-aaaaaa",
    ["forward-0-bbbbbb", "forward-1-cccccc", "forward-2-dddddd"],
)
THRESHOLD = 0.09
METHODS = {
    "silver.segments": "s1", "silver.duplicates": "d1", "silver.candidates": "c1", "gold.generations": "g1",
    "gold.judgements": "j1", **{f"scores/{scorer}": f"{scorer}-1" for scorer in ("likelihood_gain", "expected", "rubric")},
    "evaluations/held_out_loss": "l1",
    **{model.rsplit("-", 1)[0]: model for model in (BASE, BACKWARD, *FORWARD)},
}  # fmt: skip
Row = dict[str, Any]


def key(*parts: object) -> str:
    """Return a stable id of 64 hex digits."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def url(page: int) -> str:
    """Return the URL of an invented page."""
    return f"https://docs.example.org/{TOPICS[page % len(TOPICS)].replace(' ', '-')}/{page}.html"


def synthetic_lake(root: str) -> None:
    """Write the lake below `root`."""
    draw = np.random.default_rng(3)
    segments = _segments(draw)
    kept = [s for s in segments if s["drop_reason"] is None]
    repeats = kept[1::20]
    pool = [s for s in kept if s not in repeats][:80]
    candidates = [_candidate(s, place) for place, s in enumerate(pool[:60])]
    later = {"document_id": key("document", "later"), "crawled_at": NOW + timedelta(days=1)}
    plant(root, DOCUMENTS, [_document(page) for page in range(N_PAGES)] + [_document(0) | later])
    plant(root, SEGMENTS, segments)
    plant(root, DUPLICATES, [
        {"method_digest": "d1", "segment_id": s["segment_id"], "keeper_id": kept[0]["segment_id"], "kind": "near",
         "jaccard": 0.91} for s in repeats
    ])  # fmt: skip
    plant(root, UNLABELLED, [
        {k: v for k, v in s.items() if k not in ("method_digest", "drop_reason")}
        | {"experiment": "demo", "sample_hash": key("hash", s["segment_id"])} for s in pool
    ])  # fmt: skip
    plant(root, OVERLAPS, [{
        "experiment": "demo", "segment_id": kept[-1]["segment_id"], "known_set": "eval/koala.jsonl", "known_id": "7",
        "phrase": "the oldest entries are written to the journal first nothing is changed",
    }])  # fmt: skip
    plant(root, SEED_PAIRS, [
        {"experiment": "demo", "pair_id": key("pair", n), "instruction": f"How do I list every {TOPICS[n % 8]}?",
         "response": " ".join(s.format(TOPICS[n % 8]) for s in SENTENCES[: 1 + n % 5]), "language": "en",
         "source": "invented", "licence": None, "split": "dev" if n % 2 else "train"} for n in range(60)
    ])  # fmt: skip
    plant(root, CANDIDATES, candidates)
    plant(root, OUTSIDE_MODELS, [{"model_id": "gpt-9-ffffff", "served_name": "gpt-9", "api": "chat/completions",
                                  "logprobs": True, "digest": key("gpt-9"), "run_id": key("run", 0)}])  # fmt: skip
    plant(root, REWRITES, [
        {"rewrite_id": key("rewrite", n), "method_digest": "w1", "parent_id": candidates[n]["candidate_id"],
         "segment_id": candidates[n]["segment_id"], "instruction": candidates[n]["instruction"], "response": "Better.",
         "model_id": "gpt-9-ffffff", "request_id": candidates[n]["request_id"], "unsupported_share": n / 4,
         "supports": [], "drop_reason": "ungrounded" if n else None} for n in range(2)
    ])  # fmt: skip
    plant(root, PROMPTS, [{"prompt_id": key("prompt"), "name": "backward", "text": "{response}", "prefill": None,
                           "chat_template_digest": key("template")}])  # fmt: skip
    plant(root, COMPLETIONS, [_completion(place, c) for place, c in enumerate(candidates)])
    scores = [s for model in FORWARD[:2] for s in _scores(candidates, model, draw)]
    by_old_prompt = {"method_digest": "likelihood_gain-0", "score": 9.0}
    plant(root, SCORES, [s | by_old_prompt for s in scores if s["pair_id"] == candidates[-1]["candidate_id"]
                         and s["scorer"] == "likelihood_gain"])  # fmt: skip
    plant(root, SCORES, scores)
    plant(root, KNOWN_SCORES, [s for model in FORWARD[:2] for s in _known_scores(model, draw)])
    releases = []
    for iteration in (1, 2):
        curated = _curated(candidates, scores, iteration)
        dataset = f"demo/forward-{iteration}"
        plant(root, CURATED, curated)
        plant(root, TRAINING_EXAMPLES, [_example(dataset, row) for row in curated])
        slices = (CURATED, {"experiment": "demo", "iteration": iteration}), (TRAINING_EXAMPLES, {"dataset": dataset})
        releases += [{
            "release_id": key("release", table.name, iteration), "table": table.name, "experiment": "demo",
            "iteration": iteration, "slice": predicate(slice), "version": iteration - 1,
            "n_rows": len(curated), "content_digest": key("content", iteration),
            "expectations_report": "reports/gold.curated/index.html", "published_at": NOW + timedelta(hours=iteration),
        } for table, slice in slices]  # fmt: skip
    plant(root, RELEASES, releases)
    plant(root, EVALUATION_PROMPTS, [
        {"prompt_set": "humpback", "set_digest": "d1", "prompt_id": f"p{n}", "prompt": f"Explain what a {TOPICS[n]} is.",
         "other_texts": [], "category": "everyday", "record": "{}", "source_file": "humpback"} for n in range(6)
    ])  # fmt: skip
    plant(root, GENERATIONS, [
        {"method_digest": "g1", "model_id": model, "prompt_set": "humpback", "prompt_id": f"p{n}", "sample": 0,
         "prompt": f"Explain what a {TOPICS[n]} is.", "request_id": key("request", model, n),
         "output": " ".join(s.format(TOPICS[n]) for s in SENTENCES[: 1 + n % 4]) + (HOSTILE if n == 0 else "")}
        for model in (FORWARD[0], FORWARD[2]) for n in range(6)
    ])  # fmt: skip
    plant(root, JUDGEMENTS, [
        {"method_digest": "j1", "judge_id": FORWARD[2], "prompt_set": "humpback", "prompt_id": f"p{n}",
         "model_id": FORWARD[2], "reference_id": FORWARD[0], "preference": 1.25 if n % 2 else 2.0, "status": "ok",
         "request_ids": []} for n in range(6)
    ])  # fmt: skip
    plant(root, BASE_MODELS, [{"model_id": BASE, "path": "base", "digest": key(BASE), "run_id": key("run", BASE)}])
    plant(root, EVALUATIONS, _evaluations())
    plant(root, MODELS, [_model(model) for model in [BACKWARD, *FORWARD]])
    plant(root, QUARANTINE, [{
        "run_id": key("run", 0), "table": "bronze.documents", "row_id": "crawl.warc.gz:4711",
        "rule": "truncated_record",
        "detail": "120 of 4,096 bytes", "source_file": "crawl.warc.gz", "record_offset": 4711,
        "payload": "GET https://docs.example.org/broken.html",
    }])  # fmt: skip
    plant(root, RECIPES, _recipes())
    plant(root, RUNS, _runs())


def _document(page: int) -> Row:
    return {
        "document_id": key("document", page), "url": url(page), "crawled_at": NOW, "source_id": f"<urn:{page}>",
        "source_file": "crawl.warc.gz", "record_offset": 1000 * page, "charset": "utf-8", "media_type": "text/html", "content": "<p>page",
        "payload_digest": key("payload", page), "robots": [], "licences": [],
    }  # fmt: skip


def _segments(draw: np.random.Generator) -> list[Row]:
    rows = []
    for page in range(N_PAGES):
        for position in range(N_PIECES):
            topic = TOPICS[page % len(TOPICS)]
            text = "\n\n".join(s.format(topic) for s in draw.permutation(SENTENCES)) * int(draw.integers(2, 8))
            reason = [None, None, None, "too_short", "too_short", "uppercase_header"][int(draw.integers(0, 6))]
            rows.append({
                "method_digest": "s1", "segment_id": key("segment", page, position),
                "document_id": key("document", page), "url": url(page), "position": position,
                "header": f"Setting up the {topic}" if position else HOSTILE, "header_level": 2,
                "header_path": ["Manual"], "text": None if reason else text + (HOSTILE if page == 1 else ""),
                "n_chars": len(text), "language": "en", "language_score": 0.99, "drop_reason": reason,
                "replaced": None if reason else {"email": 2} if position == 1 else {},
            })  # fmt: skip
    return rows


def _candidate(segment: Row, place: int) -> Row:
    asked = f"How is the {segment['header'].removeprefix('Setting up the ')} set up, and what does it ask for?"
    return {
        "candidate_id": key("candidate", segment["segment_id"]), "method_digest": "c1", "segment_id": segment["segment_id"],
        "instruction": HOSTILE if place == 0 else asked, "response": segment["text"], "model_id": BACKWARD,
        "request_id": key("request", place),
    }  # fmt: skip


def _completion(place: int, candidate: Row) -> Row:
    return {
        "request_id": key("request", place), "run_id": key("run", 0, 3), "attempt": 1, "stage": "candidates",
        "model_id": BACKWARD, "subject_id": candidate["segment_id"], "prompt_id": key("prompt"), "system": "",
        "sampling": "{}", "sample": 0, "text": candidate["instruction"], "finish_reason": "stop",
        "n_prompt_tokens": 200, "n_completion_tokens": 20, "status": "ok", "created_at": NOW,
    }  # fmt: skip


def _score(model: str, pair: str, scorer: str, score: float | None, status: str = "ok") -> Row:
    low, high = asking(scorer).kind.bounds
    return {
        "method_digest": f"{scorer}-1", "pair_id": pair, "model_id": model, "scorer": scorer, "score": score,
        "scale_low": low, "scale_high": high, "status": status, "label_mass": None, "parser": f"{scorer}/1", "request_ids": [],
    }  # fmt: skip


def _scores(candidates: list[Row], model: str, draw: np.random.Generator) -> list[Row]:
    rows, row = [], partial(_score, model)
    for place, candidate in enumerate(candidates):
        subject = candidate["candidate_id"]
        rows.append(row(subject, "likelihood_gain", float(draw.normal(0.08, 0.05))))
        rows.append(row(subject, "expected", float(np.clip(draw.normal(3.1, 0.5), 1, 5))))
        if place < 20:
            score = float(draw.integers(1, 6))
            rows.append(row(subject, "rubric", score) if place else row(subject, "rubric", None, "unparsed"))
    return rows


def _known_scores(model: str, draw: np.random.Generator) -> list[Row]:
    return [
        _score(model, f"known/seed/{kind}/{n}/x", "likelihood_gain", float(draw.normal(mean, 0.05)))
        for n in range(1, 60, 2)
        for kind, mean in (("true", 0.12), ("mismatched", 0.0))
    ]


def _evaluations() -> list[Row]:
    """Return the held-out losses of base, M0, M1 and M2, their changes, a benchmark, and a row that a later one replaces."""
    rows, loss = [], dict(zip((BASE, *FORWARD), (3.1, 2.7, 2.62, 2.63), strict=True))
    compared: list[tuple[str, str | None]] = [(model, None) for model in loss]
    compared += [(FORWARD[0], BASE), (FORWARD[1], FORWARD[0]), (FORWARD[2], FORWARD[1]), (FORWARD[2], FORWARD[0])]
    for model, reference in compared:
        for metric, less in (("loss", 0.0), ("pair_loss", 0.1)):
            value, half = (loss[model] - less, 0.2) if reference is None else (loss[model] - loss[reference], 0.02)
            rows.append({
                "figure_id": key(model, reference, metric), "experiment": "demo", "evaluation": "held_out_loss",
                "metric": metric if reference is None else f"{metric}_change", "model_id": model,
                "reference_id": reference, "judge_id": None, "value": value, "low": value - half,
                "high": value + half, "n": 30, "n_left_out": 0, "method_digest": "l1",
                "versions": {"silver.seed_pairs": 0, "bronze.completions": 0}, "run_id": key("run", model),
            })  # fmt: skip
    before = rows[0] | {"figure_id": key("before"), "value": 9.0, "low": 9.0, "high": 9.0, "n": 29, "n_left_out": 1}
    rows.append(
        rows[0] | {"figure_id": key("harness"), "evaluation": "harness/mmlu", "metric": "acc", "method_digest": "h1"}
    )
    return [before, rows[0] | {"figure_id": key("of an old method"), "method_digest": "l0", "value": 8.0}, *rows]


def _curated(candidates: list[Row], scores: list[Row], iteration: int) -> list[Row]:
    """Return rows for the candidates with a gain of at least the threshold and an expected score of at least 3."""
    model = FORWARD[iteration - 1]
    of = {(s["pair_id"], s["scorer"]): s["score"] for s in scores if s["model_id"] == model}
    return [
        {"experiment": "demo", "iteration": iteration, "score": of[c["candidate_id"], "likelihood_gain"],
         "scorer": "likelihood_gain", "model_id": model, "threshold": THRESHOLD, "method_digests": ["likelihood_gain-1", "expected-1"], "url": "https://docs.example.org/",
         "pair_id": c["candidate_id"], "origin": "backtranslated",
         **{k: c[k] for k in ("instruction", "response", "segment_id")}}
        for c in candidates
        if of[c["candidate_id"], "likelihood_gain"] >= THRESHOLD and of[c["candidate_id"], "expected"] >= 3
    ]  # fmt: skip


def _example(dataset: str, row: Row) -> Row:
    return {
        "dataset": dataset, "example_id": key(dataset, row["pair_id"]), "system": "tag", "origin": "augmented",
        "prompt": row["instruction"], "completion": row["response"], "source_id": row["pair_id"], "split": "train",
    }  # fmt: skip


def _model(model_id: str) -> Row:
    direction, iteration, _ = model_id.split("-")
    return {
        "model_id": model_id, "experiment": "demo", "direction": direction, "iteration": int(iteration),
        "base_model": "base", "path": f"models/{model_id}", "digest": key(model_id),
        "dataset": f"demo/{direction}-{iteration}", "table_version": 1, "n_examples": 80,
        "content_digest": key("content", model_id), "config_digest": "0" * 16, "run_id": key("run", model_id),
        "metrics": {"train_loss": 2.44, "dev_loss": 2.56, "tokens_per_second": 492.0, "tokens": 36000.0},
    }  # fmt: skip


def _recipes() -> list[Row]:
    settings = Recipe.model_validate({"name": "demo", "base_model": "base", "iterations": 3})
    return [{"recipe_digest": "0" * 16, "experiment": "demo", "settings": settings.model_dump_json(),
             "code_version": "0.2.0", "recorded_at": NOW}]  # fmt: skip


def _runs() -> list[Row]:
    jobs: list[tuple[str, str, int | None, int, dict[str, int], float, int, int]] = [
        ("ingest-documents", "records", None, 41, {}, 12.3, 0, 0),
        ("extract-segments", "pieces", None, 240, {"too_short": 80, "uppercase_header": 40}, 20.0, 0, 0),
        ("finetune", "models", 0, 1, {}, 161.0, 0, 36000),
        ("generate-candidates", "requests", None, 62, {"cut": 2}, 31.0, 62, 14000),
        ("score-candidates", "ratings", 1, 200, {}, 95.0, 320, 63000),
        ("curate", "candidates", 2, 60, {"below_threshold": 33, "gate_expected": 9}, 9.0, 0, 0),
    ]
    rows: list[Row] = []
    for loop in range(2):  # the second finds nothing to do
        for place, (job, unit, iteration, n, dropped, seconds, calls, tokens) in enumerate(jobs):
            bad = {"truncated_record": 1} if job == "ingest-documents" else {}
            done = loop == 0
            rows.append({
                "run_id": key("run", loop, place), "loop_id": key("loop", loop), "job": job, "experiment": "demo",
                "iteration": iteration, "unit": unit, "n_in": n if done else 0,
                "n_out": n - sum(dropped.values()) - sum(bad.values()) if done else 0,
                "dropped": dropped if done else {}, "quarantined": bad if done else {}, "inputs": {},
                "methods": METHODS if job == "curate" and done else None,
                "version": 1 if done else None, "recipe_digest": "0" * 16, "code_version": "0.2.0",
                "seconds": seconds if done else 0.5, "n_calls": calls if done else 0,
                "n_tokens": tokens if done else 0, "prefix_hit_rate": None, "status": "ok",
                "started_at": NOW + timedelta(hours=loop, minutes=place),
            })  # fmt: skip
    return rows
