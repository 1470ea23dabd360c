"""Tables of a web page: which hold data and which lay the page out, and data as Markdown rows."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborNode

from transforms.pages.furniture import is_unseen
from transforms.pages.html import clean
from transforms.pages.inline import words_of

LAYOUT = "table, h1, h2, h3, h4, h5, h6, [role=heading], pre"
MAX_CELL_CHARS = 600
MAX_SPAN = 50  # a page may ask for a cell as wide as 100,000,000 columns
MAX_ROWS = 65_534  # HTML's
SPAN = re.compile(r"\s*\d{1,9}")


def is_layout(table: LexborNode) -> bool:
    """Whether a table arranges the page: it holds headers, tables or code, one column of text, or long cells."""
    if table.attributes.get("role") in ("presentation", "none") or len(table.css(LAYOUT)) > 1:
        return True
    sizes = [[len(cell.text().strip()) for cell in _cells(row)] for row in table.css("tr")]
    n_columns = max((sum(map(bool, row)) for row in sizes), default=0)
    return n_columns < 2 or max(size for row in sizes for size in row) > MAX_CELL_CHARS


def table_lines(table: LexborNode) -> Iterator[str]:
    """The caption, one Markdown line for each row that has text, and a rule below a first row of header cells.

    A cell that spans rows or columns leaves empty cells in its further places, so that those after it
    stay in their columns.
    """
    if (caption := table.css_first("caption")) and (text := _text(caption)):
        yield f"{text}\n"
    rows = [(row.parent, list(_cells(row))) for row in table.css("tr")]
    widest = min(max((len(cells) for _, cells in rows), default=0), MAX_SPAN)
    group, hanging = None, dict[int, int]()  # column -> how many more rows a cell from above takes
    for number, (parent, cells) in enumerate(rows):
        texts, hanging = _row(cells, hanging if parent == group else {}, widest)
        group = parent
        is_header = number == 0 and all(cell.tag == "th" for cell in cells)
        while not is_header and texts and texts[-1] is None:
            texts.pop()
        if any(texts):
            yield f"| {' | '.join(text or '' for text in texts)} |"
            if is_header:
                yield "|" + " --- |" * len(texts)


def _row(cells: list[LexborNode], hanging: dict[int, int], widest: int) -> tuple[list[str | None], dict[int, int]]:
    """The texts of a row by columns, None where a cell from before or above is, and what hangs into the next row."""
    texts: list[str | None] = []
    below: dict[int, int] = {}
    for cell in cells:
        _skip(texts, hanging, below)
        attributes = cell.attributes
        first = len(texts)
        texts += [_text(cell), *[None] * (_span(attributes.get("colspan"), widest) - 1)]
        if (n_rows := _span(attributes.get("rowspan"), MAX_ROWS)) > 1:
            below |= dict.fromkeys(range(first, min(len(texts), MAX_SPAN)), n_rows - 1)
    _skip(texts, hanging, below)
    return texts, below


def _skip(texts: list[str | None], hanging: dict[int, int], below: dict[int, int]) -> None:
    """Leave the places empty that cells from above take."""
    while (n_rows := hanging.get(len(texts), 0)) > 0:
        if n_rows > 1:
            below[len(texts)] = n_rows - 1
        texts.append(None)


def _span(value: str | None, most: int) -> int:
    found = SPAN.match(value or "")
    return min(int(found[0]) or MAX_ROWS, most) if found else 1  # 0: all rows below


def _text(cell: LexborNode) -> str:
    return clean(words_of(cell).replace("\n", " ")).replace("|", "\\|")


def _cells(row: LexborNode) -> Iterator[LexborNode]:
    cell = row.first_child
    while cell is not None:
        if cell.tag in ("td", "th") and not is_unseen(cell, cell.tag, cell.attributes):
            yield cell
        cell = cell.next
