"""Print the reference of the recipe as Markdown: every key with its type, default, meaning and source.

python -m jobs.recipe.reference
"""

import json
import re
import sys
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from jobs.recipe.config import Recipe

SOURCE = re.compile(r"(.*) \(((?:paper|FineWeb|Gopher|C4|Dolma|GPT-3)[^()]*)\)")
"""Splits a description into the key's meaning and the source of its default."""
OURS = "ours"
NAMES = {str: "string", int: "integer", float: "number", bool: "boolean"}
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
HEAD = """# Recipe reference

This page is the output of `python -m jobs.recipe.reference`; the code that reads recipes is `jobs/recipe/config.py`.
[Recipes](recipes.md) shows how the keys work together.

A recipe is a TOML file. A key that is not in the file has its default. An unknown key, or a value outside the limits,
is an error that names the key. *Unset* as a default means that the key has no value; TOML has no word for that, so
leave the key out. The last column is the source of the default: *paper* is arXiv 2308.06259, and *ours* is a choice of
this project.
"""


def reference() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *_section("The recipe's own keys", 2, Recipe, "")])


def _section(title: str, level: int, section: type[BaseModel], path: str) -> Iterator[str]:
    """Yield the heading, the summary and the keys of a section, then its subsections."""
    yield f"{'#' * level} {title}\n"
    yield f"{(section.__doc__ or '').partition(chr(10))[0]}\n"
    found = {name: section_of(field) for name, field in section.model_fields.items()}
    subsections = {name: subsection for name, subsection in found.items() if subsection}
    yield "| key | type | default | meaning | source |"
    yield "|---|---|---|---|---|"
    for name, field in section.model_fields.items():
        if name not in subsections:
            meaning, source = meaning_and_source(field)
            cells = (f"`{name}`", _type(field), _default(field), meaning, source)
            yield f"| {' | '.join(cells)} |"
    yield ""
    for name, subsection in subsections.items():
        place = f"{path}{name}"
        titles: dict[Any, str] = {tuple: f"[[{place}]]", dict: f"{place}.&lt;name&gt;"}
        title = titles.get(get_origin(section.model_fields[name].annotation), place)
        yield from _section(title, level + bool(path), subsection, f"{place}.")


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the section that a key holds, alone, in a list of tables or in a table by name; None for other keys."""
    kind = field.annotation
    if get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    elif get_origin(kind) is dict:
        kind = get_args(kind)[1]
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def meaning_and_source(field: FieldInfo) -> tuple[str, str]:
    """Return the meaning of a key and the source of its default; the source is empty if there is no default."""
    description = field.description or ""
    match = SOURCE.fullmatch(description)
    is_given = not field.is_required() and field.default not in (None, (), {})
    return (match[1], match[2]) if match else (description, OURS if is_given else "")


def _type(field: FieldInfo) -> str:
    limits = [
        f"{sign} {_number(getattr(rule, name))}"
        for rule in field.metadata
        for name, sign in SIGNS.items()
        if getattr(rule, name, None) is not None
    ]
    return ", ".join([_type_name(field.annotation), *limits])


def _type_name(annotation: Any) -> str:
    """Return the name of a type in TOML's terms."""
    origin, type_arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(type_arguments[0])
    if origin is Literal:
        return " or ".join(f"`{json.dumps(value)}`" for value in type_arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type_name(kind) for kind in type_arguments if kind is not NoneType)
    if origin is tuple:
        return f"list of {_plural(type_arguments[0])}"
    if origin is dict:
        return f"table of {_plural(type_arguments[1])}"
    return NAMES[annotation]


def _plural(annotation: Any) -> str:
    name = _type_name(annotation)
    return name if name.startswith("`") else f"{name}s"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return "unset"
    if isinstance(value, tuple):
        return f"`{json.dumps(list(value))}`"
    if isinstance(value, dict):
        return "`{}`"
    return f"`{json.dumps(value) if isinstance(value, str | bool) else value}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
