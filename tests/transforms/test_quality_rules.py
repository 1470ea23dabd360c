"""Each quality rule on a text that breaks only that rule."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from transforms.pages.quality_rules import RULES, Quality, quality_fault

pytestmark = pytest.mark.spark

LIMITS = Quality(max_bullets=0.9).model_dump()  # Gopher's, which is off by default
SENTENCE = "The kettle of the house is to be filled with water, and that takes a while in the morning.\n"
SOUND = "".join(SENTENCE.replace("kettle", f"kettle {i}") for i in range(5))
LINES = [
    f"To fill kettle {i} with the water of house {i} is what the people have to do, and that takes time"
    for i in range(6)
]

BROKEN = {
    "few_words": SENTENCE,
    "short_words": "to be of a I to b c d e f g h. " * 8,
    "long_words": "The preparation of internationalisation and decontamination, incomprehensibly misunderstood: " * 8,
    "symbols": SOUND + " #tea" * 20,
    "few_letters": SOUND + " 1234." * 60,
    "few_stop_words": "".join(f"Kettles boil quickly whenever somebody switches number {i} on.\n" for i in range(9)),
    "bullets": "".join(f"- {line}.\n" for line in LINES),
    "ellipses": "".join(f"{line}…\n" for line in LINES[:4]) + "".join(f"{line}.\n" for line in LINES[4:]),
    "repeated_lines": SENTENCE * 5,
    "unended_lines": "\n".join(LINES),
    "short_lines": SOUND.replace("\n", " ") + "\n" + "\n".join(f"To be {i}, and that is it." for i in range(6)),
    "many_lines": "\n".join(f"kettle {i}." for i in range(30)),
    "policy": SOUND + "We ask you to read the Privacy Policy before you go on.",
    "lorem_ipsum": SOUND + "Lorem ipsum dolor sit amet, and so on.",
}  # fmt: skip


def faults(spark: SparkSession, text: str | None, **limits: float | None) -> str | None:
    frame = spark.createDataFrame([(text,)], "text string")
    fault: str | None = frame.select(quality_fault(F.col("text"), LIMITS | limits)).collect()[0][0]
    return fault


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_has_its_text_and_can_be_switched_off(spark: SparkSession, rule: str) -> None:
    alone = dict.fromkeys(LIMITS, None) | {RULES[rule][0]: LIMITS[RULES[rule][0]]}
    assert faults(spark, BROKEN[rule], **alone) == rule
    assert faults(spark, SOUND, **alone) is None
    assert faults(spark, BROKEN[rule], **{RULES[rule][0]: None}) != rule


def test_every_limit_of_the_recipe_has_its_rule() -> None:
    assert [name for name, _ in RULES.values()] == list(LIMITS)


def test_sound_text_code_and_empty_text_pass(spark: SparkSession) -> None:
    assert faults(spark, SOUND) is None
    assert faults(spark, SOUND + "\n```\n" + "x = {}; #\n" * 50 + "```\n") is None
    fenced = "```\n" + "x = {}; #\n" * 50 + "```\n" + "y = {}; #\n" * 50
    assert faults(spark, f"{SOUND}\n````md\n{fenced}````\n") is None
    assert faults(spark, f"{SOUND}\n````md\n{fenced}") is None, "cut off within the code"
    assert faults(spark, f"{SOUND}\n- ````\n{fenced}  ````\n") is None
    assert faults(spark, f"{SOUND}\n{fenced}") == "short_words", "the text after the code is checked"
    assert faults(spark, None) is None
    assert faults(spark, "", **dict.fromkeys(LIMITS, None)) is None


def test_markup_added_by_the_renderer_is_ignored(spark: SparkSession) -> None:
    table = "| kettle | size of it |\n| --- | --- |\n" + "| iron | to be filled with water |\n" * 20
    assert faults(spark, SOUND + "\n#### Kettles\n\n#### Cups\n\n" * 3 + table) is None
    assert faults(spark, table) == "unended_lines", "a table alone is no prose"
