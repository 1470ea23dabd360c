"""Figures of the benchmarks, one a line in `benchmarks/results.jsonl`; prints them as a page of Markdown.

python -m benchmarks.results
python -m benchmarks.results --headlines

The second command prints the README's table. A benchmark with the option `--record` appends the figures of its run;
of figures with the same command, text and machine the last is shown.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from os import sched_getaffinity
from pathlib import Path
from typing import NamedTuple

from model_ops.devices import gpus

FILE = Path(__file__).with_name("results.jsonl")
ROOT = FILE.parents[1]

MACHINES = {
    "EPYC AVX2": "2 cores of an AMD EPYC with AVX2 and no bfloat16 instructions, 24 GB, no GPU: a float32 matrix "
    "product reaches 140 GFLOPS",
    "EPYC gen 1": "2 cores of a first-generation AMD EPYC, no GPU: 65 GFLOPS",
    "EPYC gen 4": "2 cores of a fourth-generation AMD EPYC with AVX-512 and bfloat16 instructions, no GPU",
    "Xeon": "2 cores of an Intel Xeon with AVX-512 and bfloat16 instructions and without AMX, no GPU",
    "H100": "one NVIDIA H100",
}
"""Short name of each machine measured -> its description."""

TITLES = {
    "make demo": "The demo",
    "humpback run": "The demo",
    "benchmarks.pages_on_spark": "From crawl files to segments, with Spark",
    "benchmarks.pages": "From crawl files to segments, one core, stage by stage",
    "benchmarks.duplicates": "Duplicates",
    "benchmarks.looks": "Commands that only read a lake",
    "benchmarks.append": "A few new pages on a large lake",
    "benchmarks.faults": "Faults of servers",
    "benchmarks.kills": "Killed runs",
    "benchmarks.planning": "A large ledger",
    "benchmarks.waves": "A large ledger",
    "benchmarks.language": "From crawl files to segments, one core, stage by stage",
    "benchmarks.grounding": "Rewritten responses",
    "benchmarks.inference": "Requests through Spark",
    "benchmarks.server": "Model servers on a CPU: 135M, float32, eager, 64 requests open",
    "benchmarks.speculation": "Speculative decoding on a CPU: 135M, float32, eager, 8 requests open",
    "benchmarks.finetuning": "Training",
    "benchmarks.finetuning_against_trl": "Training",
    "benchmarks.finetuning_on_gpu": "Training",
    "benchmarks.resume": "Training",
}
"""First words of a command -> section of its figures."""

PLANNED = {
    "python -m benchmarks.finetuning_on_gpu m": "Adapters of a 7B model in packed rows of 4,096 tokens on one GPU, "
    "and the switches `compile`, `kernels`, `quantization` and `optimizer` one at a time",
    "python -m benchmarks.finetuning_against_trl demo/base": "Adapters of the demo's 135M model by our trainer and by "
    "TRL's: speed, and the losses of 30 steps",
}
"""Command -> what it would measure; the page says so until a figure of the command is recorded."""

HEADLINES = (
    "the demo from a fresh clone, packages cached, 120 segments and 100 held-out pairs",
    "the demo once more, nothing new",
    "7,624 pages (199 MB of HTML) to silver.segments, both Spark jobs with their tables written",
    "duplicates among 100,000 segments, both commands with the start of their JVMs",
    "one-token ratings by a 7B model through our client, vLLM 0.26, 512 requests open",
    "waves asked again for each SIGKILL, of 20 at random points",
)
"""The field `what` of the README's figures."""

HEAD = """# Numbers

This page is the output of `python -m benchmarks.results`, which reads `benchmarks/results.jsonl`: one figure a line.
A benchmark with the option `--record` appends the figures of its run.

*Ratio* is ours over the peer's where more is better, the peer's over ours where less is: above 1, ours is better.
The peer is named in brackets. An empty commit or date is unknown. In the commands, `m` is a
7B model of random weights, the output of `python -m benchmarks.random_model demo/base --out m`.
"""


class Found(NamedTuple):
    """Label of a measurement, our figure, its unit, and a peer's figure and name if one was measured beside it."""

    what: str
    ours: float
    unit: str
    peer: float | None = None
    peer_name: str = ""


LESS_IS_BETTER = ("s", "ms", "GiB")
MORE_IS_BETTER = ("%", "GFLOPS", "AUC")


@dataclass(frozen=True)
class Figure:
    """One measured figure, with a peer's figure if there is one."""

    command: str
    what: str
    ours: float
    unit: str
    peer: float | None = None
    peer_name: str = ""
    machine: str = ""
    commit: str = ""
    date: str = ""

    @property
    def ratio(self) -> float | None:
        """Ratio of the figures, above 1 if ours is better; None without a peer, or for a unit that has no order."""
        if not self.peer or not self.ours:
            return None
        if self.unit in LESS_IS_BETTER:
            return self.peer / self.ours
        return self.ours / self.peer if self.unit.endswith("/s") or self.unit in MORE_IS_BETTER else None

    @property
    def title(self) -> str:
        """Section of the page, by the command."""
        return title_of(self.command)


def title_of(command: str) -> str:
    """Return the section of the page for a command."""
    words = command.removeprefix("python -m ")
    return next(title for start, title in TITLES.items() if re.match(rf"{re.escape(start)}(?!\w)", words))


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add `--record` to a benchmark's command line."""
    parser.add_argument("--record", action="store_true", help=f"append the figures to benchmarks/{FILE.name}")


def record(command: str, found: Iterable[Found]) -> None:
    """Append the figures of a run with this machine and commit; + marks a commit with uncommitted changes."""
    is_changed = _git("status", "--porcelain", "--untracked-files=no")
    commit = _git("rev-parse", "--short", "HEAD") + ("+" if is_changed else "")
    machine, date = this_machine(), f"{datetime.now(UTC):%Y-%m-%d}"
    with FILE.open("a", encoding="utf-8") as file:
        for one in found:
            peer = None if one.peer is None else _rounded(one.peer)
            measured = (one.what, _rounded(one.ours), one.unit, peer, one.peer_name)
            file.write(line(Figure(command, *measured, machine, commit, date)))


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def line(figure: Figure) -> str:
    """Return the figure as a line of the file."""
    return json.dumps(asdict(figure), ensure_ascii=False) + "\n"


def command_of(name: str, arguments: Sequence[str] | None) -> str:
    """The command as a person would write it: of files that the shell has listed, the pattern."""
    words = [word for word in (sys.argv[1:] if arguments is None else arguments) if word != "--record"]
    folded = [
        f"{Path(w).parent}/*{''.join(Path(w).suffixes[-2:])}" if Path(w).is_file() else shlex.quote(w) for w in words
    ]
    return " ".join([f"python -m benchmarks.{name}", *dict.fromkeys(folded)])


def this_machine() -> str:
    """Describe this machine: its GPU, or its CPU with the number of cores in use."""
    if gpus():
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        names = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
        return f"{len(gpus())} x {names[0]}"
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{len(sched_getaffinity(0))} cores, {models[0] if models else 'unknown CPU'}"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def figures(file: Path = FILE) -> list[Figure]:
    """Read the last figure of each command, text and machine, in the order of the file."""
    lines = file.read_text(encoding="utf-8").splitlines()
    recorded = [Figure(**json.loads(text)) for text in lines]
    return [*{(f.command, f.what, f.machine): f for f in recorded}.values()]


def page(found: Sequence[Figure]) -> str:
    """Return the page of all figures as Markdown."""
    return "\n".join([HEAD, *_machines(), *_sections(found)])


def _machines() -> Iterator[str]:
    yield "## Machines\n"
    yield "| machine | what it is |\n|---|---|"
    yield from (f"| {name} | {what} |" for name, what in MACHINES.items())
    yield ""


def _sections(found: Sequence[Figure]) -> Iterator[str]:
    order = [*dict.fromkeys(TITLES.values())]
    commands = [*dict.fromkeys(figure.command for figure in found)]
    ordered = sorted(found, key=lambda f: (order.index(f.title), commands.index(f.command)))
    for title, section in groupby(ordered, lambda f: f.title):
        yield f"## {title}\n"
        for command, rows in groupby(section, lambda f: f.command):
            yield f"```sh\n{command}\n```\n"
            yield "| what | ours | peer | ratio | machine | commit | date |\n|---|---|---|---|---|---|---|"
            yield from map(_row, rows)
            yield ""
        yield from _planned(title, commands)


def _planned(title: str, commands: Sequence[str]) -> Iterator[str]:
    """Name the benchmarks of a section that have no figures yet."""
    for command, what in PLANNED.items():
        is_measured = any(f"{other} ".startswith(f"{command} ") for other in commands)
        if title_of(command) == title and not is_measured:
            yield f"Not measured yet: {what}.\n\n```sh\n{command} --record\n```\n"


def _row(figure: Figure) -> str:
    cells = [figure.what, _number(figure.ours, figure.unit), _peer(figure), _ratio(figure), figure.machine]
    return f"| {' | '.join([*cells, f'`{figure.commit}`' if figure.commit else '', figure.date])} |"


def headlines(found: Sequence[Figure]) -> str:
    """Return the README's table of headline figures."""
    rows = ["| what | ours | peer | ratio | machine |", "|---|---|---|---|---|"]
    for what in HEADLINES:
        figure = next(f for f in found if f.what == what)
        cells = [what, _number(figure.ours, figure.unit), _peer(figure), _ratio(figure), figure.machine]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _number(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if value == int(value) and abs(value) >= 1000 else f"{value:,g}"
    return text if unit == "AUC" else f"{text} {unit}"


def _peer(figure: Figure) -> str:
    return "" if figure.peer is None else f"{_number(figure.peer, figure.unit)} ({figure.peer_name})"


def _ratio(figure: Figure) -> str:
    return "" if figure.ratio is None else f"{figure.ratio:.2g}" if figure.ratio < 1 else f"{figure.ratio:.1f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the page, or the README's table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results", description=__doc__)
    parser.add_argument("--headlines", action="store_true", help="print the README's table only")
    options = parser.parse_args(arguments)
    sys.stdout.write(headlines(figures()) if options.headlines else page(figures()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
