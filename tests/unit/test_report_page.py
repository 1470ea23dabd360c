"""The report's page from plain numbers: complete, self-contained, and inert whatever the web put into it."""

import re
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from jobs.current.diversity import Diversity, Quantiles
from jobs.recipe.differences import Difference
from jobs.report import bars
from jobs.report.facts import KEPT, Stage, rules
from jobs.report.page import document_link, duration, number, page, score, shortened, size, web_address
from transforms.evaluation.diversity import Verb
from transforms.scoring.estimates import Estimate
from transforms.scoring.judge_check import PAPER, measures

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EMPTY: dict[str, Any] = {
    "experiment": "demo", "root": "demo/lake", "last_run": None, "recipe": None, "funnel": [Stage(key, key, 0) for key in ("documents", "candidates")],
    "rules": [], "replaced": {}, "seed": {}, "accounts": [], "histograms": [], "thresholds": [], "checks": [], "lengths": [],
    "drift": [], "paper": PAPER, "diversity": [], "win_rates": [], "losses": {"models": [], "changes": []},
    "examples": {"iteration": None, "kept": [], "rejected": []}, "answers": {"iterations": [], "prompts": []}, "rewritten": None,
    "models": [], "releases": [], "work": [], "tables": [],
}  # fmt: skip


def histogram(scorer: str, iteration: int, scores: "np.ndarray[Any, Any]", low: float, high: float) -> dict[str, Any]:
    counts, _ = np.histogram(np.clip(scores, low, high), bins=32, range=(low, high))
    return {
        "scorer": scorer, "model_id": f"forward-{iteration - 1}-0a1b2c", "iteration": iteration, "low": low,
        "high": high, "counts": [int(n) for n in counts], "statuses": {"ok": len(scores), "unparsed": 3},
    }  # fmt: skip


def check(scorer: str, iteration: int, apart: float) -> dict[str, Any]:
    draw = np.random.default_rng(iteration)
    scores = {"true": draw.normal(apart, 0.05, 100).tolist(), "mismatched": draw.normal(0, 0.05, 99).tolist(),
              "cut": draw.normal(apart / 2, 0.05, 100).tolist()}  # fmt: skip
    model_id = f"forward-{iteration}-0a1b2c"
    ratings = [
        (f"known/seed/{kind}/{n}/x", scorer, model_id, s) for kind, of in scores.items() for n, s in enumerate(of)
    ]
    found = [*measures(ratings, thresholds={}, target=0.9)]
    return {"scorer": scorer, "model_id": model_id, "iteration": iteration, "scores": scores, "measures": found}


def a_pair(**changes: Any) -> dict[str, Any]:
    return {
        "pair_id": "ab" * 32, "url": "https://example.org/a", "score": 0.12, "threshold": 0.1,
        "drop_reason": "",
        "instruction": "How is a disk partitioned while the system is installed?",
        "response": "The installer offers a guided mode.\n\n" + "It shows every disk and asks. " * 20,
        "scores": {"expected": 3.2, "likelihood_gain": 0.12, "rubric": None},
    } | changes  # fmt: skip


def loss(iteration: int, reference: int | None, metric: str, value: float) -> dict[str, Any]:
    """The figures of a model, or of its change, as the report reads them."""
    of = {"value": value, "low": value - 0.01, "high": value + 0.01, "n": 99, "n_left_out": 1}
    of_pairs = of | {"value": value / 2, "low": value / 2 - 0.01, "high": value / 2 + 0.01}
    return {"iteration": iteration, "reference": reference, "model_id": f"forward-{iteration}-0a1b2c", metric: of,
            f"pair_{metric}": of_pairs}  # fmt: skip


def diversity(iteration: int, *verbs: Verb) -> Diversity:
    lengths = Quantiles(25.0, 1027.0, 2028.0)
    return Diversity(
        iteration, n=7000, n_read=5000, distinct={1: 0.1, 2: 0.456, 3: None}, distinct_equal={1: 0.2, 2: 0.5, 3: 0.6},
        instruction=lengths, response=lengths, nearest=Quantiles(0.04, 0.21, 0.43), n_requests=4000, verbs=[*verbs],
    )  # fmt: skip


def full() -> dict[str, Any]:
    """What a finished demo looks like."""
    draw = np.random.default_rng(1)
    run = {
        "started_at": NOW, "code_version": "0.2.0", "recipe_digest": "0123456789abcdef", "status": "ok",
        "version": 1, "loop_id": "l", "n_calls": 0, "n_tokens": 0, "iteration": None, "unit": "pieces",
    }  # fmt: skip
    return EMPTY | {
        "last_run": run,
        "recipe": {"base_model": "demo/base", "settings": {"base_model": "demo/base", "iterations": 3},
                   "differences": [Difference("iterations", "3", "2")]},
        "funnel": [
            Stage("documents", "documents", 1204), Stage("pieces", "pieces found", 38211), Stage("kept", "pieces kept", 5120, 38211),
            Stage("unique", "unique pieces", 4610, 5120), Stage("unlabelled", "unlabelled set", 1500, 4610),
            Stage("candidates", "candidates", 200, 1500),
            Stage("scored-1", "scored, iteration 1", 200, 200), Stage("curated-1", "curated, iteration 1", 61, 200),
            Stage("scored-2", "scored, iteration 2", 200, 200), Stage("curated-2", "curated, iteration 2", 66, 200),
        ],
        "rules": rules({"too_short": 29000, KEPT: 5120, "uppercase_header": 2200, "language": 1500, "old_rule": 391}),
        "replaced": {"email": 357, "ip": 31},
        "seed": {"train": 80, "dev": 100},
        "accounts": [
            {"job": "extract-segments", "unit": "pieces", "n_in": 38211, "n_out": 5120,
             "dropped": {"too_short": 29000, "uppercase_header": 2200, "language": 1500, "old_rule": 391},
             "quarantined": {}},
            {"job": "ingest-documents", "unit": "records", "n_in": 1210, "n_out": 1204,
             "dropped": {"not_html": 4}, "quarantined": {"truncated_record": 2}},
        ],
        "histograms": [
            histogram(scorer, iteration, draw.normal(middle, spread, 200), low, high)
            for scorer, middle, spread, low, high in (
                ("expected", 3.1, 0.4, 1, 5), ("likelihood_gain", 0.08, 0.06, -0.1, 0.3),
                ("rubric", 3, 1, 1, 5),
            )
            for iteration in (1, 2)
        ],
        "thresholds": [{"scorer": "likelihood_gain", "iteration": t, "threshold": 0.1} for t in (1, 2)],
        "checks": [
            check("likelihood_gain", 0, 0.12), check("likelihood_gain", 1, 0.13), check("expected", 0, 0.0)
        ],
        "drift": [{"scorer": "likelihood_gain", "iteration": 1, "before": 0.1, "after": 0.12, "n": 3, "falls": 1, "rises": 0,
                   "correlation": 0.9, "points": [(0.0, 0.1), (0.11, 0.1), (0.2, 0.2)]}],
        "lengths": [
            {"set": name, "n": 61, "instruction": [20, 35, 52, 70, 120], "response": [9, 60, 990, 1500, 2800]}
            for name in ("seed", "candidates", "curated, iteration 1", "curated, iteration 2")
        ],
        "examples": {
            "iteration": 2,
            "kept": [a_pair(), a_pair()],
            "rejected": [
                a_pair(drop_reason="below_threshold", score=0.02),
                a_pair(drop_reason="gate_expected"),
                a_pair(drop_reason="unscored", score=None, scores={}),
            ],
        },
        "rewritten": {"n": 40, "kept": 31, "readable": 38, "unsupported": 0.071},
        "answers": {"iterations": [0, 2], "prompts": [
            {"prompt_set": "humpback", "prompt_id": str(i), "prompt": "Explain what a symbolic link is.",
             "first": "A link.", "last": "A symbolic link is a file that names another file. " * 8}
            for i in range(3)
        ]},
        "win_rates": [{"judge_id": "forward-2-0a1b2c", "prompt_set": "humpback", "iteration": 2, "reference": 0, "n": 11,
                       "n_asked": 12, "rate": Estimate(0.612, 0.4, 0.8)}],
        "losses": {
            "models": [loss(t, None, "loss", 2.4 - 0.1 * t) for t in (-1, 0, 1, 2)],
            "changes": [loss(t, reference, "loss_change", -0.0301) for t, reference in ((0, -1), (1, 0), (2, 0), (2, 1))],
        },
        "diversity": [
            diversity(0, Verb("write", 40, (("story", 20), ("poem", 5))), Verb("list", 10, (("use", 1),))),
            diversity(1), diversity(2, *(Verb(f"verb{n}", 30 - n, (("name", 2),)) for n in range(20))),
        ],
        "models": [
            {"model_id": f"{direction}-{iteration}-0a1b2c", "direction": direction, "iteration": iteration,
             "base_model": "SmolLM2-135M-Instruct", "dataset": f"demo/{direction}-{iteration}",
             "table_version": 3, "n_examples": 80, "run_id": "r",
             "metrics": {"train_loss": 2.4421, "dev_loss": 2.56, "tokens_per_second": 492.2, "tokens": 36000.0}}
            for direction, iteration in (("backward", 0), ("forward", 0), ("forward", 1), ("forward", 2))
        ],
        "releases": [
            {"release_id": "r", "table": "gold.curated", "version": v, "n_rows": 61,
             "slice": f"experiment = 'demo' AND iteration = {v}", "content_digest": "cd" * 32,
             "published_at": NOW, "expectations_report": "reports/docs a/index.html" if v == 1 else None}
            for v in (1, 2)
        ],
        "work": [
            run | {"job": "ingest-documents", "unit": "records", "seconds": 12.3, "n_in": 1210},
            run | {"job": "finetune", "unit": "models", "seconds": 161.0, "n_in": 1, "iteration": 0,
                   "n_tokens": 36000},
            run | {"job": "score-candidates", "unit": "ratings", "seconds": 95.0, "n_in": 448, "iteration": 1,
                   "n_calls": 848, "n_tokens": 263000},
        ],
        "tables": [
            {"name": "bronze.documents", "comment": "A web page as crawled.", "version": 1, "rows": 1204,
             "bytes": 14_300_000, "last_written": NOW},
            {"name": "gold.judgements", "comment": "A judge's pairwise verdict on two models' answers.",
             "version": None, "rows": 0, "bytes": 0, "last_written": None},
        ],
    }  # fmt: skip


@cache
def full_page() -> str:
    return page(full(), "../lake")


class Reader(HTMLParser):
    """Collects the elements and attributes that a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]


def test_page_is_one_file_that_asks_no_other_host() -> None:
    html = full_page()
    read = Reader(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & set(read.tags)
    assert "default-src 'none'" in html
    assert not re.search(r"@import|url\((?!#)", html)
    assert set(re.findall(r"(?:https?:)?//[\w.][^\s\"'<>]*", html)) == {a_pair()["url"]}
    assert {tag for tag, name, _ in read.attributes if name == "href"} <= {"a", "use"}


def test_page_of_an_empty_lake_says_what_is_missing() -> None:
    html = page(EMPTY)
    assert "<svg" not in html
    for sentence in ("No job has run", "No documents", "No seed pairs", "No candidate", "judge-check", "evaluate-models", "no pairs yet", "no seed or curated pairs",
                     "been curated", "No two models", "No model has", "been published", "any work yet"):  # fmt: skip
        assert sentence in html, sentence


def test_page_shows_the_numbers() -> None:
    html = full_page()
    n_panels = {"scores": 6, "held-out": 2, "drift": 1, "lengths": 2, "verbs": 2}
    assert html.count("<svg") == sum(n_panels.values())
    for text in ("38,211", "2 min 41 s", "below threshold", "(0.020 &lt; 0.100)", "gate expected", "M2",
                 'href="../lake/reports/docs%20a/index.html"', "gold.curated VERSION AS OF 1", "<b>0.612</b>", "on 11 of 12 prompts",
                 "29,000 · 24.11 % of 38,211 pass", "2,200 · 76.12 % of 9,211 pass", "5,120 · 13.40 % of 38,211",
                 "1,204 documents gave 5,120 clean pieces and 200 pairs; curation kept 61 in iteration 1 and 66 in iteration 2.",
                 '<li class="nothing">M2 is not shown to differ from M0: it wins 61.2 % (40.0 to 80.0) of 11 comparisons.</li>',
                 "<div>the base model</div>", "<div>2.490 to 2.510</div>", "<div>-0.0301</div>", "<div>-0.0401 to -0.0201</div>",
                 '<li class="better">M2 predicts people&#39;s responses better than M1: its loss is 0.0301 (0.0201 to 0.0401) '
                 'nats per token lower, on 99 held-out pairs.</li>',
                 "0.100 / 0.456 / n/a", "25 / 1,027 / 2,028", "0.04 / 0.21 / 0.43", "<div>80 %</div>", "5,000 pairs are read",
                 "story&nbsp;20", "seed (50 of 5,000 instructions)",
                 "1 settings differ from the defaults", "<code>iterations</code>",
                 "No piece was dropped as blocked url, too many headers", "email&nbsp;357"):  # fmt: skip
        assert text in html, text
    assert "n/a to n/a" not in html


def test_page_fits_a_phone_and_a_dark_screen() -> None:
    html, read = full_page(), Reader(full_page())
    assert "color-scheme: light dark" in html
    assert not re.search(r"#(?:0072b2|e69f00|009e73|b8bec6|24292f)", html[html.index("<body>") :], re.IGNORECASE)
    assert not re.search(r"min-width: (?!0|2px|9rem|48)", html), "an element that is wider than a phone"
    n_empty = len(re.findall(r'<td(?: class="num")?><div>\s*</div>', html))
    assert n_empty
    assert read.tags.count("td") - n_empty == sum(name == "data-label" for _, name, _ in read.attributes)


def test_funnel_is_logarithmic_and_bars_keep_their_order() -> None:
    found = bars.funnel(
        [Stage("documents", "documents", 999), Stage("kept", "pieces kept", 9, 999), Stage("x", "none", 0, 9)]
    )
    assert [bar.width for bar in found] == ["60.00%", "20.00%", "0.00%"]
    assert [bar.text for bar in found] == ["999", "9 · 0.9 % of 999", "0 · 0.0 % of 9"]
    assert bars.funnel([Stage("documents", "documents", 0)]) == bars.rules([]) == bars.rules(rules({})) == []


def test_ids_are_unique_and_every_reference_is_met() -> None:
    read = Reader(full_page())
    ids = [value for _, name, value in read.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    wanted = {v[1:] for _, name, v in read.attributes if name in ("href", "xlink:href") and v.startswith("#")}
    assert wanted <= set(ids)


HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">{{ 7 * 7 }}</p></style>'


def test_hostile_text_is_inert() -> None:
    facts = full()
    bad = a_pair(instruction=HOSTILE, response=HOSTILE, url="javascript:alert(3)", drop_reason=HOSTILE)
    facts["examples"] = {"iteration": 1, "kept": [bad | {"drop_reason": ""}], "rejected": [bad]}
    facts["answers"]["prompts"] = [{"prompt": HOSTILE, "first": HOSTILE, "last": HOSTILE}]
    facts["rules"] = rules({HOSTILE: 3, "$x^2$": 1})
    facts["lengths"][0]["set"] = HOSTILE
    facts["diversity"] = [diversity(0, Verb(HOSTILE, 9, ((HOSTILE, 5), ("\uac00$x^3$", 4))))]
    html = page(facts | {"experiment": HOSTILE, "root": HOSTILE})
    read = Reader(html)
    assert not {"script", "img"} & set(read.tags)
    assert not [name for _, name, _ in read.attributes if name.startswith("on")]
    assert not [value for _, name, value in read.attributes if name == "href" and "javascript" in value]
    assert "&lt;script&gt;" in html
    assert "{{ 7 * 7 }}" in html
    assert "$x^2$" in html
    assert "?$x^3$" in html, "a letter that the font lacks"


def test_long_text_is_bounded() -> None:
    endless = a_pair(response="x" * 10**6, url="https://example.org/" + "y" * 10**6)
    html = page(EMPTY | {"examples": {"iteration": 1, "kept": [endless], "rejected": []}})
    assert len(html) < 20_000


def test_page_is_the_same_each_time() -> None:
    assert page(full(), "../lake") == full_page()


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://example.org/a?b=c", "https://example.org/a?b=c"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("//example.org", None),
        ("http://[", None),
        ("http://example.org/" + "a" * 2000, None),
    ],
)
def test_only_web_addresses_become_links(url: str, link: str | None) -> None:
    assert web_address(url) == link


def test_numbers_read_well() -> None:
    assert (number(1234567), number(None)) == ("1,234,567", "n/a")
    assert [score(value) for value in (0.12345, None, float("nan"))] == ["0.123", "n/a", "n/a"], "no correlation, say"
    assert [duration(s) for s in (7.46, 200, 7500)] == ["7.5 s", "3 min 20 s", "2 h 5 min"]
    assert [size(b) for b in (12, 14_300_000, 3e15)] == ["12 B", "14.3 MB", "3,000.0 TB"]
    assert (shortened("abc", 3), shortened("abc d", 4)) == ("abc", "abc …")
    assert document_link("../lake", "a b.html") == "../lake/a%20b.html"
    assert document_link(None, "a.html") is None
