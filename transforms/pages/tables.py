"""Tell data tables of a web page from layout tables, and write data tables as Markdown rows."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborNode

from transforms.pages.furniture import is_unseen
from transforms.pages.html import clean
from transforms.pages.inline import words_of

LAYOUT = "table, h1, h2, h3, h4, h5, h6, [role=heading], pre"
MAX_CELL_CHARS = 600
MAX_SPAN = 50  # columns: a page may declare a cell 100,000,000 columns wide
MAX_ROWS = 65_534  # HTML's limit
SPAN = re.compile(r"\s*\d{1,9}")


def is_layout(table: LexborNode) -> bool:
    """Return whether a table arranges the page: it holds headers, tables or code, one column of text, or long cells."""
    if table.attributes.get("role") in ("presentation", "none") or len(table.css(LAYOUT)) > 1:
        return True
    sizes = [[len(cell.text().strip()) for cell in _cells(row)] for row in table.css("tr")]
    n_columns = max((sum(map(bool, row)) for row in sizes), default=0)
    return n_columns < 2 or max(size for row in sizes for size in row) > MAX_CELL_CHARS


def table_lines(table: LexborNode) -> Iterator[str]:
    """Yield the caption, one Markdown line for each row with text, and a rule below a first row of header cells.

    A cell that spans rows or columns is followed by empty cells in its other places, so that later cells
    stay in their columns.
    """
    if (caption := table.css_first("caption")) and (text := _text(caption)):
        yield f"{text}\n"
    rows = [(row.parent, list(_cells(row))) for row in table.css("tr")]
    widest = min(max((len(cells) for _, cells in rows), default=0), MAX_SPAN)
    group, hanging = None, dict[int, int]()  # column -> number of further rows that a cell from above spans
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
    """Return a row's texts by column, None for places spanned by other cells, and the spans into the next row."""
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
    """Append None for each place at the end of `texts` that a cell from above spans."""
    while (n_rows := hanging.get(len(texts), 0)) > 0:
        if n_rows > 1:
            below[len(texts)] = n_rows - 1
        texts.append(None)


def _span(value: str | None, limit: int) -> int:
    match = SPAN.match(value or "")
    return min(int(match[0]) or MAX_ROWS, limit) if match else 1  # 0: all rows below


def _text(cell: LexborNode) -> str:
    return clean(words_of(cell).replace("\n", " ")).replace("|", "\\|")


def _cells(row: LexborNode) -> Iterator[LexborNode]:
    cell = row.first_child
    while cell is not None:
        if cell.tag in ("td", "th") and not is_unseen(cell, cell.tag, cell.attributes):
            yield cell
        cell = cell.next
