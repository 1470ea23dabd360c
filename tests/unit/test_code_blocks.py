import pytest

from transforms.pages.render import render


def text(body: str) -> str:
    page = render(body)
    return page.text(0, len(page.blocks))


BR = "<br>"
LINES = [
    ("divs", '<pre><code><div class="line">a = 1</div><div class="line">  b = 2</div></code></pre>'),
    ("items", '<pre class="prettyprint"><ol class="linenums"><li>a = 1</li>\n<li>  b = 2</li></ol></pre>'),
    ("paragraphs", "<pre><p>a = 1</p><p>  b = 2</p></pre>"),
    ("display", '<pre><span style="display: block">a = 1</span><span style="display:block">  b = 2</span></pre>'),
    ("breaks", f"<pre>a = 1{BR}  b = 2{BR}</pre>"),
    ("divs with breaks", f'<pre><div class="token-line">a = 1{BR}</div><div class="token-line">  b = 2{BR}</div></pre>'),
    ("spans and line feeds", '<pre><span class="line">a = 1</span>\n<span class="line">  b = 2</span>\n</pre>'),
    ("a div", '<div style="font-family: monospace; white-space: pre;"><div>a = 1</div><div>  b = 2</div></div>'),
    ("a div without parts", '<div style="white-space:pre">a = 1\n  b = 2</div>'),
    ("code", '<code style="white-space: pre">a = 1\n  b = 2</code>'),
    ("code of divs", "<code><div>a = 1</div>\n <div>&nbsp;&nbsp;b = 2</div></code>"),
    ("doxygen", '<div class="fragment"><div class="line">a = 1</div>\n<div class="line">  b = 2</div>\n</div>'),
    ("doxygen numbered", '<div class="fragment">' + "".join(
        f'<div class="line"><a id="l{n}"></a><span class="lineno">    {n}</span>&#160;{line}</div>' for n, line in enumerate(["a = 1", "  b = 2"], 1)
    ) + "</div>"),
    ("rouge", '<table class="rouge-table"><tr><td class="rouge-gutter gl"><pre class="lineno">1\n2\n</pre></td><td class="rouge-code"><pre>a = 1\n  b = 2\n</pre></td></tr></table>'),
    ("pygments", '<table class="highlighttable"><tr><td class="linenos"><div class="linenodiv"><pre>1\n2</pre></div></td><td class="code"><pre>a = 1\n  b = 2</pre></td></tr></table>'),
    ("pygments inline", '<pre><span class="linenos">1</span>a = 1\n<span class="linenos">2</span>  b = 2\n</pre>'),
    ("jekyll inline", '<pre><span class="lineno">1 </span>a = 1\n<span class="lineno">2 </span>  b = 2\n</pre>'),
    ("a space after numbers", '<pre><span class="ln">1</span> a = 1\n<span class="ln">2</span>   b = 2\n</pre>'),
    ("hexo", f'<figure class="highlight"><table><tr><td class="gutter"><pre><span class="line">1</span>{BR}<span class="line">2</span>{BR}</pre></td>'
     f'<td class="code"><pre><span class="line">a = 1</span>{BR}<span class="line">  b = 2</span>{BR}</pre></td></tr></table></figure>'),
    ("chroma", '<pre class="chroma"><span class="line"><span class="ln">1</span><span class="cl">a = 1\n</span></span><span class="line"><span class="ln">2</span><span class="cl">  b = 2\n</span></span></pre>'),
    ("chroma table", '<table class="lntable"><tr><td class="lntd"><pre><span class="lnt">1\n</span><span class="lnt">2\n</span></pre></td><td class="lntd"><pre>a = 1\n  b = 2\n</pre></td></tr></table>'),
    ("hljs-ln", '<pre><code><table class="hljs-ln">' + "".join(
        f'<tr><td class="hljs-ln-line hljs-ln-numbers"><div class="hljs-ln-n">{n}</div></td><td class="hljs-ln-line hljs-ln-code">{line}</td></tr>' for n, line in enumerate(["a = 1", "  b = 2"], 1)
    ) + "</table></code></pre>"),
    ("prism", '<pre class="line-numbers"><code>a = 1\n  b = 2<span class="line-numbers-rows" aria-hidden="true"><span></span></span></code></pre>'),
    ("a gutter without a name", "<table><tr><td><pre>1\n2</pre></td><td><pre>a = 1\n  b = 2</pre></td></tr></table>"),
    ("a copy button", "<pre>a = 1\n  b = 2<button>Copy</button></pre>"),
]  # fmt: skip


@pytest.mark.parametrize("body", [body for _, body in LINES], ids=[name for name, _ in LINES])
def test_line_breaks_stay_and_line_numbers_are_removed(body: str) -> None:
    assert text(f"<h2>Code</h2>{body}") == "## Code\n\n```\na = 1\n  b = 2\n```"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('<pre><span class="line">a</span>\n<span class="line"></span>\n<span class="line">b</span></pre>', "a\n\nb"),
        (
            f'<pre><span class="line">a</span>{BR}<span class="line"></span>{BR}<span class="line">b</span></pre>',
            "a\n\nb",
        ),
        ("<pre><div>a</div><div><br></div><div>b</div></pre>", "a\n\nb"),
        ("<pre><div>a</div>\n\nb</pre>", "a\n\nb"),
        ("<pre>1\n2\n3</pre>", "1\n2\n3"),  # what a program says
        ("<pre>2<sup>n</sup></pre>", "2^n"),
        ("<pre>a <b>b</b> <i>c</i></pre>", "a b c"),
    ],
)
def test_code(body: str, expected: str) -> None:
    assert text(body) == f"```\n{expected}\n```"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>run <code>a <b>b</b>\n c</code> now", "run `a b c` now"),
        ('<p style="white-space: pre">one line', "one line"),
        (
            '<div class="line-block"><div class="line">Roses</div><div class="line">are red</div></div>',
            "Roses\n\nare red",
        ),
        ('<p class="fragment">a slide', "a slide"),
    ],
)
def test_elements_that_are_not_code_blocks(body: str, expected: str) -> None:
    assert text(body) == expected


@pytest.mark.parametrize(
    ("code", "fence"), [("a", "```"), ("```\na\n```", "````"), ("a ````` b", "``````"), ("``", "```")]
)
def test_a_fence_is_longer_than_any_run_of_backticks_inside(code: str, fence: str) -> None:
    assert text(f"<pre>{code}</pre>") == f"{fence}\n{code}\n{fence}"
