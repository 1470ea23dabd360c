"""The report's charts; each function turns plain numbers into one inline SVG."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from jobs.report.facts import KEPT, Rule, Stage

# Okabe and Ito's palette, which every kind of colour vision can tell apart, also in grey.
BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#E69F00", "#009E73", "#B8BEC6", "#24292F"
STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it can be searched, selected and read aloud
    "svg.hashsalt": "humpback",
    "text.parse_math": False,
    "font.size": 11.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}
WIDTH = 11.5  # inches; at this width, text of 11 points has the size of the page's text
THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")


def funnel(stages: Sequence[Stage]) -> str:
    """Draw the count left after each stage, on a logarithmic scale: the ends are thousands of times apart."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.3 + 0.42 * len(stages)), layout="constrained")
        axes = figure.add_subplot()
        # 0.7 rather than 1, so that a single row still shows as a bar.
        counts = [max(stage.n, 0.7) for stage in stages]
        colours = [GREEN if stage.key.startswith("curated-") else BLUE for stage in stages]
        axes.barh([stage.name for stage in stages], counts, left=0.7, color=colours, height=0.72)
        for place, stage in enumerate(stages):
            share = f" · {100 * stage.n / stage.of:.1f} % of {stage.of:,}" if stage.of else ""
            axes.text(max(counts[place], 0.7) * 1.12, place, f"{stage.n:,}{share}", va="center")
        axes.set_xscale("log")
        axes.set_xlim(0.7, max(counts) ** 1.35 + 40)
        axes.invert_yaxis()
        axes.tick_params(left=False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.xaxis.set_visible(False)
        return _svg(figure, "funnel")


def rules(found: Sequence[Rule]) -> str:
    """Draw the number of pieces that each rule dropped, in order of the rules, and last the number kept.

    Rules that dropped none are left out.
    """
    with mpl.rc_context(STYLE):
        bars = [
            (
                _spoken(r.name),
                r.n_dropped,
                f"{r.n_dropped:,} · {100 - 100 * r.n_dropped / r.n_in:.2f} % of {r.n_in:,} pass",
            )
            for r in found
            if r.n_dropped
        ]
        n_found, n_kept = found[0].n_in, found[-1].n_in - found[-1].n_dropped
        bars.append((KEPT, n_kept, f"{n_kept:,} · {100 * n_kept / n_found:.2f} % of {n_found:,}"))
        names, counts, labels = zip(*bars, strict=True)
        figure = Figure(figsize=(WIDTH, 0.3 + 0.36 * len(bars)), layout="constrained")
        axes = figure.add_subplot()
        axes.barh(names, counts, color=[GREY] * (len(bars) - 1) + [GREEN], height=0.7)
        for place, label in enumerate(labels):
            axes.text(counts[place] + 0.01 * max(counts), place, label, va="center")
        axes.set_xlim(0, max(counts) * 1.4)
        axes.invert_yaxis()
        axes.tick_params(left=False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.xaxis.set_visible(False)
        return _svg(figure, "rules")


def score_histograms(found: Sequence[Mapping[str, Any]], thresholds: Mapping[tuple[str, int], float]) -> str:
    """Draw one panel per scorer (row) and iteration (column), with the threshold of curation if there is one."""
    scorers = list(dict.fromkeys(h["scorer"] for h in found))
    iterations = sorted({h["iteration"] for h in found})
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.5 * len(scorers)), layout="constrained")
        _space(figure)
        grid = figure.subplots(len(scorers), len(iterations), squeeze=False)
        for axes in grid.flat:
            axes.set_visible(False)
        for one in found:
            axes = grid[scorers.index(one["scorer"])][iterations.index(one["iteration"])]
            axes.set_visible(True)
            width = (one["high"] - one["low"]) / len(one["counts"])
            edges = [one["low"] + width * place for place in range(len(one["counts"]))]
            axes.bar(edges, one["counts"], width * 0.92, align="edge", color=BLUE)
            n = sum(one["counts"])
            axes.set_title(f"{_spoken(one['scorer'])}, iteration {one['iteration']} (n = {n:,})")
            axes.yaxis.set_major_formatter(THOUSANDS)
            axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.set_ylim(top=1.25 * max(*one["counts"], 1))  # room for the threshold's label
            least = thresholds.get((one["scorer"], one["iteration"]))
            if least is not None:
                axes.axvline(least, color=ORANGE, linewidth=2)
                axes.annotate(f" kept from {least:.3g}", (least, 0.97), xycoords=("data", "axes fraction"), va="top")
        return _svg(figure, "scores")


def held_out(checks: Sequence[Mapping[str, Any]]) -> str:
    """Draw the scores of good and bad pairs in the first check (left), and the AUC of every check (right).

    Each AUC has its interval and is against one kind of bad pairs.
    """
    found = [(check, one) for check in checks for one in check["measures"] if one.measure == "auc" and check["scores"]]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, max(3.0, 0.9 + 0.45 * len(found))), layout="constrained")
        _space(figure)
        left, right = figure.subplots(1, 2, width_ratios=(5, 4))
        _samples(left, checks[0])
        names = [f"{_spoken(check['scorer'])}, M{check['iteration']}: {one.of}" for check, one in found]
        for place, (_, one) in enumerate(found):
            right.plot([one.low, one.high], [place, place], color=BLUE, linewidth=3, solid_capstyle="round")
            right.plot(one.value, place, "o", color=BLUE, markersize=8, markeredgecolor="white")
            right.annotate(f"{one.value:.3f}", (one.value, place - 0.17), ha="center", va="bottom")
        right.axvline(0.5, color=GREY, linestyle="--")
        right.annotate(
            "chance",
            (0.5, 0.0),
            xycoords=("data", "axes fraction"),
            xytext=(4, 4),
            textcoords="offset points",
        )
        right.set_yticks(range(len(names)), names)
        right.set_ylim(len(names) - 0.4, -0.75)
        lowest = min(0.45, *(one.low for _, one in found))
        right.set_xlim(max(0.0, lowest - 0.03), 1.02)
        right.tick_params(left=False)
        right.spines["left"].set_visible(False)
        right.set_title("AUC with 95 % interval")
        return _svg(figure, "held-out")


def _samples(axes: Axes, check: Mapping[str, Any]) -> None:
    kinds = dict(sorted(check["scores"].items(), key=lambda kind: (kind[0] == "true", kind[0] != "mismatched")))
    values = [score for scores in kinds.values() for score in scores]
    low, high = min(values), max(values)
    edges = [low + (high - low or 1.0) * place / 24 for place in range(25)]
    others = [ORANGE, GREY, GREEN, INK]
    for place, (kind, scores) in enumerate(kinds.items()):
        label, first = f"{kind} (n = {len(scores):,})", kind == "true" or place == 0
        if first:
            axes.hist(scores, bins=edges, color=BLUE if kind == "true" else ORANGE, alpha=0.72, label=label)
        else:
            axes.hist(scores, bins=edges, color=others[place % 4], histtype="step", linewidth=1.5, label=label)
    axes.set_title(f"{_spoken(check['scorer'])} of held-out pairs, M{check['iteration']}")
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.margins(y=0.3)
    axes.legend(loc="upper left", ncols=2)


def drift(found: Sequence[Mapping[str, Any]]) -> str:
    """Draw scores of the same candidates by two successive models, with both thresholds; side changes are coloured."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.2 * -(-len(found) // 2)), layout="constrained")
        _space(figure)
        grid = figure.subplots(-(-len(found) // 2), 2, squeeze=False)
        for axes in grid.flat[len(found) :]:
            axes.set_visible(False)
        for axes, one in zip(grid.flat, found, strict=False):
            t, before, after = one["iteration"], one["before"], one["after"]
            moved = [(old >= before) != (new >= after) for old, new in one["points"]]
            for side, colour, label in ((False, GREY, "same side"), (True, ORANGE, "changed sides")):
                some = [point for point, changed in zip(one["points"], moved, strict=True) if changed is side]
                axes.scatter([old for old, _ in some], [new for _, new in some], s=14, color=colour, label=label)
            axes.axvline(before, color=BLUE, linewidth=1)
            axes.axhline(after, color=BLUE, linewidth=1)
            axes.set_xlabel(f"under M{t - 1}, kept from {before:.3g}")
            axes.set_ylabel(f"under M{t}, kept from {after:.3g}")
            axes.set_title(f"{_spoken(one['scorer'])}, M{t - 1} to M{t}")
            axes.legend(loc="upper left")
        return _svg(figure, "drift")


def lengths(found: Sequence[Mapping[str, Any]]) -> str:
    """Draw the lengths of instructions and responses in characters: median, quartiles, and 5 % to 95 %."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.2 + 0.42 * len(found)), layout="constrained")
        _space(figure)
        for axes, side in zip(figure.subplots(1, 2, sharey=True), ("instruction", "response"), strict=True):
            boxes = [
                dict(
                    zip(("whislo", "q1", "med", "q3", "whishi"), one[side], strict=True),
                    fliers=[],
                    label=one["set"],
                )
                for one in found
            ]
            box = {"facecolor": BLUE, "alpha": 0.35, "edgecolor": BLUE}
            line = {"color": BLUE}
            axes.bxp(
                boxes,
                orientation="horizontal",
                widths=0.5,
                showfliers=False,
                patch_artist=True,
                manage_ticks=False,
                boxprops=box,
                whiskerprops=line,
                capprops=line,
                medianprops={"color": INK, "linewidth": 2},
            )
            axes.set_yticks(range(1, len(found) + 1), [one["set"] for one in found])
            axes.set_ylim(len(found) + 0.5, 0.5)
            axes.set_xlim(left=0)
            axes.xaxis.set_major_formatter(THOUSANDS)
            axes.set_title(f"{side}, characters")
            axes.tick_params(left=False)
            axes.spines["left"].set_visible(False)
        return _svg(figure, "lengths")


def _space(figure: Figure) -> None:
    """Add space between panels, which constrained layout leaves too small."""
    figure.set_layout_engine("constrained", h_pad=0.1, w_pad=0.1)


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _svg(figure: Figure, name: str) -> str:
    """Return the figure as an SVG element for inline HTML, with ids prefixed by `name` and without URLs."""
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer)  # type: ignore[no-untyped-call]  # matplotlib has no types here
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)  # HTML's parser knows both
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    return svg.replace("<svg", '<svg aria-hidden="true"', 1)
