"""Tables of a web page: which hold data and which lay the page out, and data as Markdown rows."""

from collections.abc import Iterator

from selectolax.lexbor import LexborNode

from transforms.pages.html import clean, is_furniture, visible_texts

LAYOUT = "table, h1, h2, h3, h4, h5, h6, [role=heading], pre"
MAX_CELL_CHARS = 600


def is_layout(table: LexborNode) -> bool:
    """Whether a table arranges the page: it holds headers, tables or code, one column of text, or long cells."""
    if table.attributes.get("role") in ("presentation", "none") or len(table.css(LAYOUT)) > 1:
        return True
    sizes = [[len(cell.text().strip()) for cell in _cells(row)] for row in table.css("tr")]
    n_columns = max((sum(map(bool, row)) for row in sizes), default=0)
    return n_columns < 2 or max(size for row in sizes for size in row) > MAX_CELL_CHARS


def table_lines(table: LexborNode) -> Iterator[str]:
    """One Markdown line for each row that has text, and a rule below a first row of header cells."""
    for number, row in enumerate(table.css("tr")):
        cells = list(_cells(row))
        texts = [clean(" ".join(visible_texts(cell)).replace("\n", " ")) for cell in cells]
        if any(texts):
            yield f"| {' | '.join(texts)} |"
            if number == 0 and all(cell.tag == "th" for cell in cells):
                yield "|" + " --- |" * len(cells)


def _cells(row: LexborNode) -> Iterator[LexborNode]:
    cell = row.first_child
    while cell is not None:
        if cell.tag in ("td", "th") and not is_furniture(cell.tag, cell.attributes):
            yield cell
        cell = cell.next
