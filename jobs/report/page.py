"""Rendering of the report's numbers as one self-contained HTML page."""

import json
import math
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from jobs.report import bars, charts, headline
from jobs.report.ratings import MAX_TEXT

MAX_URL = 2000


def page(facts: Mapping[str, Any], docs_root: str | None = None) -> str:
    """Render the report as HTML; `docs_root` is the path from the page to the lake's root, for links to Data Docs."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "n": number,
        "score": score,
        "change": change,
        "three": three,
        "bytes": size,
        "span": duration,
        "short": shortened,
        "web": web_address,
        "when": when,
        "pretty": partial(json.dumps, indent=2, ensure_ascii=False),
        "spoken": lambda name: str(name).replace("_", " "),
    }
    environment.globals["doc"] = lambda path: document_link(docs_root, path)
    template = (files("jobs.report") / "report.html.j2").read_text(encoding="utf-8")  # it may be inside a wheel
    return environment.from_string(template).render(
        facts,
        happened=headline.happened(facts["funnel"]),
        evidence=headline.evidence(facts["checks"], facts["losses"]["changes"], facts["win_rates"]),
        bars={"funnel": bars.funnel(facts["funnel"]), "rules": bars.rules(facts["rules"])},
        charts=pictures(facts),
    )


def pictures(facts: Mapping[str, Any]) -> dict[str, list[Markup]]:
    """Map each chart's name to the SVGs of its panels; there are none without data."""
    curated = {(row["scorer"], row["iteration"]): row["threshold"] for row in facts["thresholds"]}
    panels = {
        "scores": charts.score_histograms(facts["histograms"], curated),
        "held_out": charts.held_out(facts["checks"]) if facts["checks"] else [],
        "drift": charts.drift(facts["drift"]),
        "lengths": charts.lengths(facts["lengths"]) if facts["lengths"] else [],
        "verbs": charts.sunbursts(facts["diversity"]),
    }
    return {name: [Markup(svg) for svg in svgs] for name, svgs in panels.items()}


def number(value: float | None) -> str:
    """Format a number: 1234567 -> 1,234,567."""
    return "n/a" if value is None else f"{value:,.0f}"


def score(value: float | None) -> str:
    """Format a score to three decimals."""
    return "n/a" if value is None or math.isnan(value) else f"{value:.3f}"


def change(value: float) -> str:
    """Format a change of a loss with its sign, to four decimals."""
    return f"{value:+.4f}"


def three(values: Any, style: str) -> str:
    """Format three numbers, such as quartiles: 25 / 27 / 28."""
    return " / ".join("n/a" if value is None else format(value, style) for value in values)


def size(value: float) -> str:
    """Format a number of bytes in B, kB, MB, GB or TB, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def duration(seconds: float) -> str:
    """Format seconds as 7.5 s, 3 min 20 s or 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, remainder = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {remainder} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def when(moment: Any) -> str:
    """Format a UTC time to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "never"


def shortened(text: str, limit: int = MAX_TEXT) -> str:
    """Return the text, cut with an ellipsis if it is longer than `limit` characters."""
    return text if len(text) <= limit else text[:limit].rstrip() + " …"


def web_address(url: str) -> str | None:
    """Return the URL if it is safe to link: http or https, and at most `MAX_URL` characters; else None."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        return None
    return url if scheme in ("http", "https") and len(url) <= MAX_URL else None


def document_link(docs_root: str | None, path: str | None) -> str | None:
    """Return the URL-quoted path from the page to a file below the lake's root; None without a root or a file."""
    return quote(f"{docs_root}/{path}") if docs_root and path else None
