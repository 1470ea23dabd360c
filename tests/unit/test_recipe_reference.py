"""The recipe's reference: every key is described, with the source of its default."""

from collections.abc import Iterator

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from jobs.recipe.config import Recipe
from jobs.recipe.reference import meaning_and_source, reference, section_of


def keys(section: type[BaseModel], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        if subsection := section_of(field):
            yield from keys(subsection, f"{path}{name}.")
        else:
            yield f"{path}{name}", field


KEYS = dict(keys(Recipe))


@pytest.mark.parametrize("name", KEYS)
def test_every_key_is_described(name: str) -> None:
    meaning, _ = meaning_and_source(KEYS[name])
    assert len(meaning.split()) >= 2
    assert meaning[-1] not in ".,:;"
    assert "|" not in meaning


@pytest.mark.parametrize(
    ("key", "row"),
    [
        ("iterations", "| `iterations` | integer, ≥ 1 | `2` | rounds of self-curation | paper, section 3.1 |"),
        ("base_model", "| `base_model` | string | required | "),
        ("models_dir", "| `models_dir` | string | unset | folder for trained models; "),
        ("curate.gates", "| `gates` | table of numbers | `{}` | "),
        (
            "finetune.method",
            '| `method` | `"lora"` or `"full"` | `"full"` | train adapters (lora) or all weights | paper |',
        ),
        ("extract_segments.quality.max_bullets", "| `max_bullets` | number | unset | "),
        ("generate_candidates.top_p", "| `top_p` | number, > 0, ≤ 1 | `0.9` | nucleus sampling | paper, section 3.1 |"),
        (
            "evaluation.temperature",
            "| `temperature` | number, ≥ 0 | `0.7` | sampling temperature; 0 is greedy | paper, ",
        ),
        ("outside_models.model", "| `model` | string | required | "),
        ("judge_check.iterations", "| `iterations` | list of integers | `[]` | "),
    ],
)
def test_rows(key: str, row: str) -> None:
    assert key in KEYS
    assert f"\n{row}" in reference()


def test_every_section_has_a_heading() -> None:
    for name in KEYS:
        section = name.rpartition(".")[0]
        titles = [f"# {section}\n", f"# [[{section}]]\n", f"# {section}.&lt;name&gt;\n"]
        assert not section or any(title in reference() for title in titles)
