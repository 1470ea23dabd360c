"""Extract the formulas of a web page as TeX between dollar signs, each once.

A page may hold a formula as MathML, as TeX in an attribute or a script, as an image, and as visible
glyphs; KaTeX, MathJax and Wikipedia write two or three of these side by side.
"""

import re

from selectolax.lexbor import LexborNode

from transforms.pages.furniture import Attributes

TAGS = frozenset(["math", "script", "mjx-container"])
TEX_ATTRIBUTES = ("alttext", "data-latex", "data-tex", "data-math")
DELIMITERS = re.compile(r"^\s*(?:\$\$?|\\\(|\\\[)|(?:\$\$?|\\\)|\\\])\s*$")
STYLE = re.compile(r"\{\\(?:display|text|script)style\b(.*)\}\s*", re.DOTALL)
TEX_SCRIPT = re.compile(r"math/tex\b", re.IGNORECASE)
MAX_DEPTH = 40  # levels of MathML read from a formula without TeX
MAX_SIBLINGS = 3
TWO_PARTS = {
    "msup": "{}^{{{}}}",
    "mover": "{}^{{{}}}",
    "msub": "{}_{{{}}}",
    "munder": "{}_{{{}}}",
    "mfrac": "\\frac{{{}}}{{{}}}",
}
THREE_PARTS = ("msubsup", "munderover")


def formula(node: LexborNode, tag: str, attributes: Attributes) -> str | None:
    """Return the TeX of a formula's element, "" if another element holds it; None if the element is no formula."""
    if tag == "script":
        kind = attributes.get("type") or ""
        return _dollars(node.text(), "mode=display" in kind) if TEX_SCRIPT.match(kind) else None
    if tag == "img":
        return _of_image(node, attributes)
    classes = (attributes.get("class") or "").split()
    is_display = "katex-display" in classes or attributes.get("display") in ("block", "true")
    if any(attributes.get(name) for name in TEX_ATTRIBUTES[1:]):
        return _dollars(_attribute(attributes), is_display)
    if tag != "math" and tag != "mjx-container" and _has_script(node):
        return ""
    math = node if tag == "math" else node.css_first("math")
    if math is None:
        return "".join(node.text().split()) if "katex" in classes else None
    return _dollars(_tex(math), is_display or math.attributes.get("display") == "block")


def _dollars(tex: str, is_display: bool) -> str:
    tex = DELIMITERS.sub("", tex).strip()
    if styled := STYLE.fullmatch(tex):
        tex = styled[1]
    sign = "$$" if is_display else "$"
    return f"{sign}{' '.join(tex.split())}{sign}" if tex else ""


def _tex(math: LexborNode) -> str:
    for annotation in math.css("annotation"):
        if "tex" in (annotation.attributes.get("encoding") or "").lower():
            return annotation.text()
    return _attribute(math.attributes) or _linear(math, 0)


def _attribute(attributes: Attributes) -> str:
    return next((value for name in TEX_ATTRIBUTES if (value := attributes.get(name))), "")


def _of_image(node: LexborNode, attributes: Attributes) -> str:
    """Return the TeX of an image; "" if MathML in the same parent holds the formula."""
    is_beside = "mwe-math" in (attributes.get("class") or "") and node.parent and node.parent.css_first("math")
    return "" if is_beside else _dollars(attributes.get("alt") or "", False)


def _has_script(node: LexborNode) -> bool:
    """Return whether MathJax 2's source, a script right after the rendered formula, is present."""
    following = node.next
    for _ in range(MAX_SIBLINGS):
        if following is None:
            break
        if following.tag == "script" and TEX_SCRIPT.match(following.attributes.get("type") or ""):
            return True
        following = following.next
    return False


def _linear(node: LexborNode, depth: int) -> str:
    """Linearise MathML that has no TeX annotation to one line."""
    if node.tag in ("annotation", "annotation-xml") or depth > MAX_DEPTH:
        return ""
    parts, child = [], node.first_child
    while child is not None:
        text = child.text_content or "" if child.tag == "-text" else _linear(child, depth + 1)
        if text := text.strip():
            parts.append(text)
        child = child.next
    if node.tag in TWO_PARTS and len(parts) == 2:
        return TWO_PARTS[node.tag].format(*parts)
    if node.tag in THREE_PARTS and len(parts) == 3:
        return "{}_{{{}}}^{{{}}}".format(*parts)
    text = "".join(parts)
    return f"\\sqrt{{{text}}}" if node.tag == "msqrt" else text
