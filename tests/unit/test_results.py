"""Figures of benchmarks: how they are recorded, which one is shown, and what the ratio says."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.results import Figure, Found, command_of, figures, headlines, page, record


def figure(what: str = "x", ours: float = 2.0, unit: str = "s", peer: float | None = None, machine: str = "") -> Figure:
    return Figure("make demo", what, ours, unit, peer, "theirs", machine)


@pytest.mark.parametrize(
    ("found", "ratio"),
    [
        (figure(ours=2, unit="s", peer=8), 4.0),
        (figure(ours=2, unit="GiB", peer=1), 0.5),
        (figure(ours=8, unit="pages/s", peer=2), 4.0),
        (figure(ours=91, unit="%", peer=100), 0.91),
        (figure(ours=8, unit="segments", peer=2), None),
        (figure(ours=8, unit="s"), None),
    ],
)
def test_a_ratio_above_1_means_ours_is_better(found: Figure, ratio: float | None) -> None:
    assert found.ratio == ratio


def test_the_last_figure_of_a_machine_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    lines = [figure(ours=9), figure("y"), figure(ours=3), figure(ours=4, machine="other")]
    file.write_text("".join(map(results.line, lines)))
    assert [(f.what, f.ours) for f in figures(file)] == [("x", 3), ("y", 2), ("x", 4)]
    shown = page(figures(file))
    assert "| x | 3 s |  |  |  |  |  |" in shown
    assert "| x | 9 s" not in shown


def test_recorded_figures_say_where_and_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FILE", tmp_path / "results.jsonl")
    record("python -m benchmarks.pages x", [Found("parse only", 1822.3456, "pages/s")])
    found = json.loads(results.FILE.read_text())
    assert (found["what"], found["ours"], found["unit"], found["peer"]) == ("parse only", 1822.0, "pages/s", None)
    assert "core" in found["machine"] or " x " in found["machine"]
    assert found["date"].startswith("20")
    assert len(found["commit"].rstrip("+")) >= 7


def test_a_command_is_shown_as_a_person_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.warc.gz", "b.warc.gz"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    words = ["a.warc.gz", "b.warc.gz", "--copies", "4", "--record"]
    assert command_of("pages", words) == "python -m benchmarks.pages ./*.warc.gz --copies 4"
    monkeypatch.setattr(sys, "argv", ["-m", *words])
    assert command_of("pages", None) == "python -m benchmarks.pages ./*.warc.gz --copies 4"


def test_headlines_are_six_figures_of_the_file() -> None:
    assert len(headlines(figures()).splitlines()) == 2 + 6


def test_a_planned_measurement_is_named_until_its_command_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "PLANNED", {"python -m benchmarks.finetuning m": "A model"})
    other = Figure("python -m benchmarks.finetuning mine", "x", 1.0, "s")
    assert "Not measured yet: A model." in page([other])
    assert "Not measured yet" not in page(
        [other, Figure("python -m benchmarks.finetuning m --examples 9", "y", 1, "s")]
    )
    assert "Not measured yet" not in page([figure()]), "of another section"


def test_every_figure_has_a_section() -> None:
    assert {f.title for f in figures()} <= set(results.TITLES.values())
    assert all(f.machine in {"", *results.MACHINES} or f.commit for f in figures())
