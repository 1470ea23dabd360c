"""The report's charts; each function turns plain numbers into inline SVGs, one for each panel.

The page arranges the panels by its width, and gives the colours of `COLOURS` their light or dark values.
"""

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Wedge
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from jobs.current.diversity import Diversity
from transforms.evaluation.scaling import Fit

# Okabe and Ito's palette, which every kind of colour vision can tell apart, also in grey.
BLUE, ORANGE, GREEN, GREY, INK = "#0072b2", "#e69f00", "#009e73", "#b8bec6", "#24292f"
PAPER = "#fffffe"  # the page's colour
COLOURS = {BLUE: "blue", ORANGE: "orange", GREEN: "green", GREY: "grey", INK: "ink", PAPER: "page"}
"""Colour in a figure -> the page's CSS variable that replaces it."""
STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it can be searched, selected and read aloud
    "svg.hashsalt": "humpback",
    "text.parse_math": False,
    "font.size": 10.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}
WIDTH = 5.2  # inches; on a phone of 400 pixels, a panel's text of 10 points is then as high as it is wide here
VERB_RING, OBJECT_RING = (0.22, 0.55), (0.55, 0.72)  # inner and outer radius, of a panel from -1.08 to 1.08
NAMED_VERB, NAMED_OBJECT = 1 / 42, 1 / 85  # of the turn: narrower pieces have no room for a name
MAX_WORD = 12  # characters
MAX_LABEL = 24  # characters: a longer label would leave no room for the boxes
THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")


def score_histograms(histograms: Sequence[Mapping[str, Any]], thresholds: Mapping[tuple[str, int], float]) -> list[str]:
    """Draw one panel per scorer and iteration, with the threshold of curation if there is one."""
    return [
        _histogram(histogram, thresholds.get((histogram["scorer"], histogram["iteration"]))) for histogram in histograms
    ]


def _histogram(histogram: Mapping[str, Any], threshold: float | None) -> str:
    counts, low = histogram["counts"], histogram["low"]
    with mpl.rc_context(STYLE):
        figure, axes = _panel(2.3)
        width = (histogram["high"] - low) / len(counts)
        edges = [low + width * i for i in range(len(counts) + 1)]
        axes.stairs(counts, edges, fill=True, color=BLUE)  # one shape: a bar each would take twice as long to draw
        axes.set_title(f"{_as_words(histogram['scorer'])}, iteration {histogram['iteration']} (n = {sum(counts):,})")
        axes.yaxis.set_major_formatter(THOUSANDS)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_ylim(top=1.25 * max(*counts, 1))  # room for the threshold's label
        if threshold is not None:
            axes.axvline(threshold, color=ORANGE, linewidth=2)
            label = f" kept from {threshold:.3g}"
            axes.annotate(label, (threshold, 0.97), xycoords=("data", "axes fraction"), va="top")
        return _svg(figure, f"scores-{histogram['scorer']}-{histogram['iteration']}")


def held_out(checks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Draw the scores of good and bad pairs in the first check, and the AUC of every check with its interval.

    Each AUC is against one kind of bad pairs.
    """
    return [_score_samples(checks[0]), _auc_intervals(checks)]


def _score_samples(check: Mapping[str, Any]) -> str:
    kinds = dict(sorted(check["scores"].items(), key=lambda kind: (kind[0] == "true", kind[0] != "mismatched")))
    values = [score for scores in kinds.values() for score in scores]
    low, high = min(values), max(values)
    edges = [low + (high - low or 1.0) * i / 24 for i in range(25)]
    others = [ORANGE, GREY, GREEN, INK]
    with mpl.rc_context(STYLE):
        figure, axes = _panel(3.0)
        for i, (kind, scores) in enumerate(kinds.items()):
            label = f"{kind} (n = {len(scores):,})"
            if kind == "true" or i == 0:
                axes.hist(scores, bins=edges, color=BLUE if kind == "true" else ORANGE, alpha=0.72, label=label)
            else:
                axes.hist(scores, bins=edges, color=others[i % 4], histtype="step", linewidth=1.5, label=label)
        axes.set_title(f"{_as_words(check['scorer'])} of held-out pairs, M{check['iteration']}")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.margins(y=0.4)
        axes.legend(loc="upper left", ncols=2)
        return _svg(figure, "held-out-samples")


def _auc_intervals(checks: Sequence[Mapping[str, Any]]) -> str:
    areas = [(check, auc) for check in checks for auc in check["measures"] if auc.measure == "auc" and check["scores"]]
    with mpl.rc_context(STYLE):
        figure, axes = _panel(max(3.0, 0.9 + 0.42 * len(areas)))
        for i, (_, auc) in enumerate(areas):
            axes.plot([auc.low, auc.high], [i, i], color=BLUE, linewidth=3, solid_capstyle="round")
            axes.plot(auc.value, i, "o", color=BLUE, markersize=8)
            axes.annotate(f"{auc.value:.3f}", (auc.value, i - 0.17), ha="center", va="bottom")
        axes.axvline(0.5, color=GREY, linestyle="--")
        axes.annotate(
            "chance",
            (0.5, 0.0),
            xycoords=("data", "axes fraction"),
            xytext=(4, 4),
            textcoords="offset points",
        )
        axes.set_yticks(
            range(len(areas)),
            [f"{_as_words(check['scorer'])}, M{check['iteration']}:\n{auc.of}" for check, auc in areas],
        )
        axes.set_ylim(len(areas) - 0.4, -0.75)
        lowest = min(0.45, *(auc.low for _, auc in areas))
        axes.set_xlim(max(0.0, lowest - 0.03), 1.02)
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
        axes.set_title("AUC with 95 % interval")
        return _svg(figure, "held-out-auc")


def drift(drifts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Draw scores of the same candidates by two successive models, with both thresholds; side changes are coloured."""
    return [_drift_scatter(drift_data) for drift_data in drifts]


def _drift_scatter(drift_data: Mapping[str, Any]) -> str:
    t, before, after = drift_data["iteration"], drift_data["before"], drift_data["after"]
    sides: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for old, new in drift_data["points"]:
        sides[(old >= before) != (new >= after)].append((old, new))
    with mpl.rc_context(STYLE):
        figure, axes = _panel(4.0)
        for moved, colour, label in ((False, GREY, "same side"), (True, ORANGE, "changed sides")):
            axes.scatter([x for x, _ in sides[moved]], [y for _, y in sides[moved]], s=14, color=colour, label=label)
        axes.axvline(before, color=BLUE, linewidth=1)
        axes.axhline(after, color=BLUE, linewidth=1)
        axes.set_xlabel(f"under M{t - 1}, kept from {before:.3g}")
        axes.set_ylabel(f"under M{t}, kept from {after:.3g}")
        axes.set_title(f"{_as_words(drift_data['scorer'])}, M{t - 1} to M{t}")
        axes.legend(loc="upper left")
        return _svg(figure, f"drift-{drift_data['scorer']}-{t}")


def lengths(sets: Sequence[Mapping[str, Any]]) -> list[str]:
    """Draw the lengths of instructions and responses in characters: median, quartiles, and 5 % to 95 %."""
    return [_length_boxes(sets, side) for side in ("instruction", "response")]


def _length_boxes(sets: Sequence[Mapping[str, Any]], side: str) -> str:
    ends = ("whislo", "q1", "med", "q3", "whishi")
    boxes = [dict(zip(ends, pair_set[side], strict=True), fliers=[], label=pair_set["set"]) for pair_set in sets]
    line = {"color": BLUE}
    with mpl.rc_context(STYLE):
        figure, axes = _panel(1.0 + 0.38 * len(sets))
        axes.bxp(
            boxes,
            orientation="horizontal",
            widths=0.5,
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
            boxprops={"facecolor": BLUE, "alpha": 0.35, "edgecolor": BLUE},
            whiskerprops=line,
            capprops=line,
            medianprops={"color": INK, "linewidth": 2},
        )
        axes.set_yticks(range(1, len(sets) + 1), [pair_set["set"][:MAX_LABEL] for pair_set in sets])
        axes.set_ylim(len(sets) + 0.5, 0.5)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(THOUSANDS)
        axes.set_title(f"{side}, characters")
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
        return _svg(figure, f"lengths-{side}")


def sunbursts(sets: Sequence[Diversity]) -> list[str]:
    """Draw the root verbs and objects of the first and of the last set; a set without any has no panel."""
    return [_sunburst(one) for one in (*sets[:1], *sets[1:][-1:]) if one.verbs]


def _sunburst(one: Diversity) -> str:
    """Draw the verbs as a ring, and outside each one a ring of its objects, with a gap for the less frequent ones."""
    total, before = sum(verb.n for verb in one.verbs), 0
    with mpl.rc_context(STYLE):
        figure, axes = _panel(WIDTH)
        for place, verb in enumerate(one.verbs):
            colour = (BLUE, ORANGE, GREEN, GREY)[place % 4]
            _arc(axes, verb.name, (before / total, verb.n / total), VERB_RING, colour)
            start = before
            for name, n in verb.objects:
                _arc(axes, name, (start / total, n / total), OBJECT_RING, colour)
                start += n
            before += verb.n
        axes.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08), aspect="equal")
        axes.set_axis_off()
        axes.set_title(f"{one.name} ({total:,} of {one.n_read:,} instructions)")
        return _svg(figure, f"verbs-{one.iteration}")


def _arc(axes: Axes, name: str, turn: tuple[float, float], ring: tuple[float, float], colour: str) -> None:
    """Draw one piece of a ring, clockwise from the top, and its name where the piece is wide enough.

    `turn` is the start and the width as shares of the whole turn, `ring` the inner and the outer radius.
    """
    (start, width), (inner, outer) = turn, ring
    is_verb = ring == VERB_RING
    fill = to_rgba(colour, 0.65 if is_verb else 0.35)
    ends = 90 - 360 * (start + width), 90 - 360 * start
    axes.add_patch(Wedge((0, 0), outer, *ends, width=outer - inner, facecolor=fill, edgecolor=PAPER, linewidth=0.8))
    if width < (NAMED_VERB if is_verb else NAMED_OBJECT):
        return
    middle = 90 - 360 * (start + width / 2)
    x, y = math.cos(math.radians(middle)), math.sin(math.radians(middle))
    is_right = x >= 0
    radius = outer - 0.02 if is_verb else outer + 0.02
    axes.text(
        radius * x,
        radius * y,
        _label(name),
        rotation=middle if is_right else middle + 180,
        rotation_mode="anchor",
        ha="left" if is_right != is_verb else "right",
        va="center_baseline",
        fontsize=9,
    )


def _label(name: str) -> str:
    """Return a word as a label: short, and of letters that the font has."""
    text = name.encode("latin-1", "replace").decode("latin-1")
    return text if len(text) <= MAX_WORD else text[: MAX_WORD - 1] + "."


def scaling(points: Sequence[Mapping[str, Any]], fit: Fit, metric: str) -> str:
    """Draw a figure about models over the number of curated pairs, with their intervals and the fitted line."""
    sizes = [point["pairs"] for point in points]
    with mpl.rc_context(STYLE):
        figure, axes = _panel(3.4)
        for point in points:
            if point["low"] is not None:
                axes.plot([point["pairs"]] * 2, [point["low"], point["high"]], color=BLUE, linewidth=2)
        axes.plot(sizes, [point["value"] for point in points], "o", color=BLUE, markersize=7, label="models, 95 %")
        ends = [min(sizes), max(sizes)]
        alpha = fit.alpha
        label = f"alpha = {alpha.value:.3g} per ln N, {alpha.low:.3g} to {alpha.high:.3g}"
        axes.plot(ends, [fit.at(n) for n in ends], color=ORANGE, linewidth=2, label=label)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
        axes.xaxis.set_major_formatter(THOUSANDS)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(y=0.25)
        axes.set_xlabel("curated pairs N, logarithmic")
        axes.set_title(f"{_as_words(metric)} by number of curated pairs")
        axes.legend(loc="best")
        return _svg(figure, "scaling")


def standalone(svg: str) -> str:
    """Return a chart as an SVG file, on white."""
    for colour, variable in COLOURS.items():
        svg = svg.replace(f"var(--{variable})", colour)
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return svg.replace('<svg aria-hidden="true"', f'<svg {spaces} style="background: #fff"', 1)


def _panel(height: float) -> tuple[Figure, Axes]:
    """Return a figure with one set of axes, `height` inches high."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _as_words(name: str) -> str:
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
    for colour, variable in COLOURS.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return svg.replace("<svg", '<svg aria-hidden="true"', 1)
