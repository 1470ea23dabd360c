import pytest

from transforms.pages.render import render


def text(body: str) -> str:
    page = render(body)
    return page.text(0, len(page.blocks))


TEX = '<annotation encoding="application/x-tex">E=mc^2</annotation>'
MATH = "<math><semantics><mrow><mi>E</mi><mo>=</mo><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup></mrow>"
KATEX = f'<span class="katex-mathml">{MATH}{TEX}</semantics></math></span><span class="katex-html" aria-hidden="true">E=mc2</span>'
GLYPHS = '<nobr aria-hidden="true"><span class="math">E</span></nobr>'
WIKI = 'class="mwe-math-fallback-image-inline" aria-hidden="true" alt="{\\displaystyle E=mc^2}"'
FORMULAS = [
    ("KaTeX", f'<span class="katex">{KATEX}</span>', "$E=mc^2$"),
    ("KaTeX display", f'<span class="katex-display"><span class="katex">{KATEX}</span></span>', "$$E=mc^2$$"),
    ("KaTeX without MathML", '<span class="katex"><span class="katex-html" aria-hidden="true">x</span></span>', "x"),
    ("MathJax 2", f'<span class="MathJax_Preview">E</span><span class="MathJax">{GLYPHS}</span><script type="math/tex">E=mc^2</script>', "$E=mc^2$"),
    ("MathJax 2 with MathML", f'<span class="MathJax_Display"><span class="MathJax">{MATH}</math></span></span><script type="math/tex; mode=display">E=mc^2</script>', "$$E=mc^2$$"),
    ("MathJax 2 not run", '<script type="math/tex">E=mc^2</script>', "$E=mc^2$"),
    ("MathJax 3", f'<mjx-container class="MathJax"><mjx-math aria-hidden="true"></mjx-math><mjx-assistive-mml>{MATH}</math></mjx-assistive-mml></mjx-container>', "$E=mc^{2}$"),
    ("MathJax 4", '<mjx-container data-latex="E=mc^2"><mjx-math></mjx-math></mjx-container>', "$E=mc^2$"),
    ("Wikipedia", f'<span class="mwe-math-mathml-inline mwe-math-mathml-a11y" style="display: none;">{MATH}{TEX}</math></span><img {WIKI}>', "$E=mc^2$"),
    ("Wikipedia's image", f"<img {WIKI}>", "$E=mc^2$"),
    ("an image", '<img class="math" alt="E=mc^2">', "$E=mc^2$"),
    ("another image", '<img class="photo" alt="Einstein">', ""),
    ("alttext", '<math alttext="E=mc^2"><mi>E</mi></math>', "$E=mc^2$"),
    ("MathML alone", f"{MATH}</math>", "$E=mc^{2}$"),
    ("fractions", "<math><mfrac><mn>1</mn><msqrt><mi>x</mi></msqrt></mfrac></math>", "$\\frac{1}{\\sqrt{x}}$"),
    ("data-math", '<span data-math="E=mc^2"><span>E</span></span>', "$E=mc^2$"),
    ("delimiters", '<span data-tex="\\(E=mc^2\\)"></span>', "$E=mc^2$"),
    ("a script", '<script type="module">x</script>', ""),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), [f[1:] for f in FORMULAS], ids=[f[0] for f in FORMULAS])
def test_a_formula_comes_once(body: str, expected: str) -> None:
    words = f"The famous {expected} holds".replace("  ", " ")
    assert text(f"<p>The famous {body} holds") == words
    assert text(f"<h2>The famous {body} holds</h2>") == f"## {words}"
    assert text(f"<table><tr><td>a<td>The famous {body} holds</table>") == f"| a | {words} |"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("5 &times; 10<sup>6</sup> cells", "5 \xd7 10^6 cells"),
        ("10<sup>-6</sup> m<sup>2</sup>", "10^-6 m^2"),
        ("x<sup>2</sup>y and 2<sup>n+1</sup>", "x^{2}y and 2^{n+1}"),
        ("2<sup><i>n</i></sup>", "2^n"),
        ("the 1<sup>st</sup>, 2<sup>nd</sup> and n<sup>th</sup> of May", "the 1st, 2nd and nth of May"),
        ("Tea<sup>TM</sup> and<sup>*</sup>", "TeaTM and*"),
        ("<sup>14</sup>C", "14C"),
        ("the isotope <sup>14</sup>C", "the isotope ^{14}C"),
        ("tea<sup>see the last page</sup>", "tea see the last page"),
        ("H<sub>2</sub>O and C<sub>6</sub>H<sub>12</sub>O<sub>6</sub>", "H2O and C6H12O6"),
        ("101<sub>2</sub> is 5", "101_2 is 5"),
        ("log<sub>2</sub>8 and a<sub>i</sub>", "log_{2}8 and a_i"),
        ('in 1889<sup><a href="#fn1">1</a></sup> and', "in 1889[1] and"),
        ('in 1889<sup class="reference"><a href="#n">[1]</a></sup><sup>[2]</sup>', "in 1889[1][2]"),
        ('in 1889<a href="#fn1" class="footnote-ref"><sup>1</sup></a>', "in 1889[1]"),
        ('in 1889<a href="#fn1" role="doc-noteref">1</a>', "in 1889[1]"),
        ('in 1889 <a class="footnote-reference brackets" href="#f">[1]</a>', "in 1889 [1]"),
        ('A note. <a href="#r1" class="footnote-back" role="doc-backlink">\u21a9</a>', "A note."),
        ("the word <ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp>字<rt>ji</rt></ruby> means", "the word 漢字 means"),
    ],
)
def test_raised_and_lowered_text(body: str, expected: str) -> None:
    assert text(f"<p>{body}") == expected
    assert text(f"<table><tr><td>a<td>{body}</table>") == f"| a | {expected} |"


def test_nested_superscripts_are_no_danger() -> None:
    assert "x" in text("<p>2" + "<sup>" * 4000 + "x")


def test_deep_mathml_is_no_danger() -> None:
    assert text("<p>a <math>" + "<mrow>" * 4000 + "<mi>x</mi></math> b").startswith("a")
