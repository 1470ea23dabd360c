"""The report's first sentences: what the experiment made, and the evidence that it helped."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jobs.report.facts import Stage

CHANCE = 0.5


@dataclass(frozen=True)
class Evidence:
    """One sentence about a comparison, and the direction in which its interval excludes that nothing differs."""

    sentence: str
    shows: Literal["better", "worse", "nothing"]


def happened(funnel: Sequence[Stage]) -> str:
    """Return one sentence with the counts from documents to curated pairs."""
    counts = {stage.key: stage.n for stage in funnel}
    if not counts.get("documents"):
        return "No documents have been ingested yet."
    curated = [
        f"{stage.n:,} in {stage.name.partition(', ')[2]}" for stage in funnel if stage.key.startswith("curated-")
    ]
    n_kept, n_pairs = counts.get("kept", 0), counts.get("candidates", 0)
    summary = f"{counts['documents']:,} documents gave {n_kept:,} clean pieces and {n_pairs:,} pairs"
    return f"{summary}; curation kept {' and '.join(curated)}." if curated else f"{summary}; none has been curated yet."


def evidence(
    checks: Sequence[Mapping[str, Any]], changes: Sequence[Mapping[str, Any]], win_rates: Sequence[Mapping[str, Any]]
) -> list[Evidence]:
    """Return a sentence on the first scorer's held-out check, and on each comparison of two models.

    Models are compared by their loss (`changes`) and by their answers (`win_rates`).
    """
    return [*_of_scorers(checks), *_of_losses(changes), *_of_models(win_rates)]


def _of_scorers(checks: Sequence[Mapping[str, Any]]) -> Iterator[Evidence]:
    for check in checks[:1]:
        auc = check["measures"][0]
        if auc.measure == "auc":
            scorer = f"The {check['scorer'].replace('_', ' ')} under M{check['iteration']}"
            ranked = f"ranks a true held-out pair above a spoilt one ({auc.of}) in {_percent(auc)} of the cases"
            yield Evidence(f"{scorer} {ranked}; guessing gives 50 %.", _against_chance(auc))


def _of_losses(changes: Sequence[Mapping[str, Any]]) -> Iterator[Evidence]:
    """Yield sentences on the last model against M0, then on each model against the one before it."""
    by_models = {(one["iteration"], one["reference"]): one for one in changes}
    last = max((iteration for iteration, _ in by_models), default=0)
    steps = [(t, t - 1) for t in range(1, last + 1)]
    for iteration, reference in dict.fromkeys([(last, 0), *steps]):
        if found := by_models.get((iteration, reference)):
            change = found["loss_change"]
            models = f"M{iteration}", f"M{reference}"
            yield Evidence(_told(*models, change), _below_none(change))


def _told(model: str, reference: str, change: Mapping[str, Any]) -> str:
    """Return the sentence on one change of the held-out loss."""
    value, low, high = change["value"], change["low"], change["high"]
    on = f"on {change['n']:,} held-out pairs."
    if high < 0:
        gain = f"its loss is {-value:.4f} ({-high:.4f} to {-low:.4f}) nats per token lower, {on}"
        return f"{model} predicts people's responses better than {reference}: {gain}"
    if low > 0:
        harm = f"its loss is {value:.4f} ({low:.4f} to {high:.4f}) nats per token higher, {on}"
        return f"{model} predicts people's responses worse than {reference}: {harm}"
    if low == value == high:
        return f"{model} has the same loss as {reference} on each of {change['n']:,} held-out pairs."
    change_of_loss = f"its loss changes by {value:+.4f} ({low:+.4f} to {high:+.4f}) nats per token, {on}"
    return f"{model} is not shown to predict people's responses better or worse than {reference}: {change_of_loss}"


def _below_none(change: Mapping[str, Any]) -> Literal["better", "worse", "nothing"]:
    """Return `better` if a loss has certainly fallen."""
    if change["high"] < 0:
        return "better"
    return "worse" if change["low"] > 0 else "nothing"


def _of_models(win_rates: Sequence[Mapping[str, Any]]) -> Iterator[Evidence]:
    for win in win_rates:
        if win["rate"] is None:
            continue
        finding = _against_chance(win["rate"])
        verdicts = {"better": "is better than", "worse": "is worse than", "nothing": "is not shown to differ from"}
        models = f"M{win['iteration']} {verdicts[finding]} M{win['reference']}"
        yield Evidence(f"{models}: it wins {_percent(win['rate'])} of {win['n']:,} comparisons.", finding)


def _percent(figure: Any) -> str:
    """Return a share with its interval in percent."""
    return f"{100 * figure.value:.1f} % ({100 * figure.low:.1f} to {100 * figure.high:.1f})"


def _against_chance(figure: Any) -> Literal["better", "worse", "nothing"]:
    if figure.low > CHANCE:
        return "better"
    return "worse" if figure.high < CHANCE else "nothing"
