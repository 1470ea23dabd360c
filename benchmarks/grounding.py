"""Speed of the grounding ledger on one core, and the shares of invented and faithful sentences that it flags.

python -m benchmarks.grounding

The rows are made by `benchmarks.planted_inventions`. The peer is rapidfuzz's `partial_ratio` of sentence and segment,
at the threshold that flags as large a share of the faithful sentences.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from rapidfuzz import fuzz

from benchmarks import results
from benchmarks.planted_inventions import FAITHFUL, INVENTED, WOVEN, Row, flagged, planted, rate
from benchmarks.rewritten_texts import FREE
from transforms.rewriting.grounding import Support, grounding

ROUNDS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the speed in CPU time, the median of five rounds, and the flagged share of each kind of sentence."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grounding", description=__doc__)
    parser.add_argument("--rows", type=int, default=200, metavar="N", help="number of rewritten responses")
    results.add_option(parser)
    options = parser.parse_args(arguments)
    rows = planted(options.rows)
    speed = _speed(rows)
    counts = flagged(rows, grounding)
    faithful = rate(counts, FAITHFUL)
    peers = flagged(rows, _by_partial_ratio(rows, faithful))
    sys.stdout.write(f"{speed:,.0f} sentences/s\n{'kind':<12} {'flagged':>7} {'of':>5} {'%':>6} {'peer %':>6}\n")
    for kind, (n, total) in counts.items():
        sys.stdout.write(f"{kind:<12} {n:7} {total:5} {100 * n / total:6.1f} {100 * rate(peers, [kind]):6.1f}\n")
    found = [
        results.Found("sentences traced to their segment, CPU time", speed, "sentences/s"),
        results.Found(
            "invented sentences flagged",
            100 * rate(counts, INVENTED),
            "%",
            100 * rate(peers, INVENTED),
            "partial_ratio",
        ),
        results.Found("faithful sentences not flagged", 100 * (1 - faithful), "%"),
        results.Found("faithful sentences in words of the rewriter's choice, not flagged", _passed_freely(), "%"),
        results.Found("inventions made of the segment's words, flagged", 100 * rate(counts, [WOVEN]), "%"),
    ]
    sys.stdout.writelines(f"{one.what}: {one.ours:,.4g} {one.unit}\n" for one in found)
    if options.record:
        results.record(results.command_of("grounding", arguments), found)
    return 0


def _speed(rows: Sequence[Row]) -> float:
    """Return sentences per second, of this thread's CPU time."""
    speeds = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        n = sum(len(grounding(row.segment, row.response)) for row in rows)
        speeds.append(n / (time.thread_time() - began))
    return statistics.median(speeds)


def _passed_freely() -> float:
    """Return the percentage of the freely reworded sentences that are not flagged."""
    verdicts = [support.is_supported for text, said in FREE for support in grounding(text, "\n".join(said))]
    return 100 * (1 - verdicts.count(False) / len(verdicts))


def _by_partial_ratio(rows: Sequence[Row], false_share: float) -> Callable[[str, str], list[Support]]:
    """Return a judge by character similarity alone that flags this share of the faithful sentences."""
    ratios = [
        _ratio(row.response[start:end], row.segment)
        for row in rows
        for start, end, kind in row.pieces
        if kind in FAITHFUL and kind != "talk"
    ]
    least = sorted(ratios)[int(false_share * len(ratios))]

    def judged(segment: str, response: str) -> list[Support]:
        supports = grounding(segment, response)
        claims = [support for support in supports if support.is_supported is not None]
        return [claim._replace(is_supported=_ratio(claim.sentence, segment) >= least) for claim in claims]

    return judged


def _ratio(sentence: str, segment: str) -> float:
    return fuzz.partial_ratio(sentence.lower(), segment.lower())


if __name__ == "__main__":
    sys.exit(main())
