"""Pages in the layouts of well-known generators and themes, with every word marked as text or furniture (boilerplate).

A template's `@5` stands for five words of furniture, `{article}` for the text. The text's headers have
misleading titles such as Pagination, and its sections the ids that the generator derives from these.
"""

import re
from collections.abc import Callable
from itertools import count

TITLES = (
    "Cookies in requests", "Pagination", "How do I share variables", "Related work", "Copyright of examples", "The pager",
    "Menu", "Sidebar", "Social network analysis", "Footer of a table", "Sharing with others", "Navigation of trees",
)  # fmt: skip
Section = Callable[[str, str, str], str]
"""Writes the HTML of a section from its id, its title and its contents."""


def plain(slug: str, title: str, inside: str) -> str:
    return f'<h2 id="{slug}">{title}</h2>{inside}'


def sphinx(slug: str, title: str, inside: str) -> str:
    sign = f'<a class="headerlink" href="#{slug}" title="Link to this heading">¶</a>'
    return f'<section id="{slug}"><h2><a class="toc-backref" href="#id1" role="doc-backlink">{title}</a>{sign}</h2>{inside}</section>'


def docutils(slug: str, title: str, inside: str) -> str:
    return f'<div class="section" id="{slug}"><h2>{title}</h2>{inside}</div>'


def docbook(slug: str, title: str, inside: str) -> str:
    head = f'<div class="titlepage"><div><div><h2 class="title"><a id="{slug}"></a>{title}</h2></div></div></div>'
    return f'<div class="section">{head}{inside}</div>'


def vuepress(slug: str, title: str, inside: str) -> str:
    return (
        f'<h2 id="{slug}" tabindex="-1"><a class="header-anchor" href="#{slug}"><span>{title}</span></a></h2>{inside}'
    )


def accordion(slug: str, title: str, inside: str) -> str:
    button = f'<button type="button" aria-expanded="false" aria-controls="{slug}-panel">{title}</button>'
    return f'<h2 id="{slug}">{button}</h2><div id="{slug}-panel" role="region" aria-labelledby="{slug}" hidden>{inside}</div>'


LAYOUTS: dict[str, tuple[Section, str]] = {
    "vitepress": (plain, """<div id="app"><div class="Layout"><a href="#VPContent" class="VPSkipLink visually-hidden">@3</a>
<header class="VPNav"><nav class="VPNavBarMenu menu"><a>@1</a><a>@1</a></nav></header><aside class="VPSidebar"><nav><a>@6</a></nav></aside>
<div class="VPContent has-sidebar" id="VPContent"><div class="VPDoc has-sidebar has-aside"><div class="aside"><nav class="VPDocAsideOutline"><a>@4</a></nav></div>
<main class="main">{article}</main><footer class="VPDocFooter"><nav class="prev-next">@4</nav></footer></div></div></div></div>"""),
    "vuepress": (vuepress, """<div id="app"><div class="theme-container no-navbar no-sidebar"><div class="sidebar-mask"></div><aside class="sidebar"><ul class="sidebar-links"><li><a>@5</a></ul></aside>
<main class="page"><div class="theme-default-content">{article}</div><footer class="page-edit"><div class="edit-link"><a>@3</a></div></footer><div class="page-nav">@4</div></main></div></div>"""),
    "docusaurus": (plain, """<div id="__docusaurus"><div class="skipToContent" role="region" aria-label="Skip to main content"></div><nav aria-label="Main" class="navbar navbar--fixed-top">@5</nav>
<div class="main-wrapper"><div class="docsWrapper_hB"><aside class="theme-doc-sidebar-container"><div class="sidebar_njMd"><nav class="menu thin-scrollbar">@9</nav></div></aside>
<main class="docMainContainer_TBSr"><div class="container"><div class="row"><div class="col docItemCol_VOVn"><article><nav class="theme-doc-breadcrumbs">@3</nav><div class="theme-doc-markdown markdown">{article}</div></article>
<nav class="pagination-nav docusaurus-mt-lg">@4</nav></div><div class="col col--3"><div class="tableOfContents_bqdL thin-scrollbar theme-doc-toc-desktop"><nav>@5</nav></div></div></div></div></main></div></div><footer class="footer">@5</footer></div>"""),
    "alabaster": (sphinx, """<div class="document"><div class="documentwrapper"><div class="bodywrapper"><div class="body" role="main">{article}</div></div></div>
<div class="sphinxsidebar" role="navigation" aria-label="Main"><div class="sphinxsidebarwrapper"><h1 class="logo"><a>@1</a></h1><h3>@1</h3><ul><li class="toctree-l1"><a>@4</a></ul><div class="relations"><h3>@2</h3></div></div></div></div><div class="footer">@6</div>"""),
    "read the docs": (sphinx, """<div class="wy-grid-for-nav"><nav data-toggle="wy-nav-shift" class="wy-nav-side"><div class="wy-menu wy-menu-vertical">@8</div></nav>
<section data-toggle="wy-nav-shift" class="wy-nav-content-wrap"><nav class="wy-nav-top">@1</nav><div class="wy-nav-content"><div class="rst-content"><div role="navigation" aria-label="Page navigation"><ul class="wy-breadcrumbs"><li><a>@2</a></ul></div>
<div role="main" class="document"><div itemprop="articleBody">{article}</div></div><footer><div class="rst-footer-buttons">@2</div><div role="contentinfo">@5</div></footer></div></div></section></div>"""),
    "docutils": (docutils, """<div class="document" id="guide">{article}</div><div class="footer"><hr class="footer">@6</div>"""),
    "docbook": (docbook, """<div class="navheader"><table width="100%"><tr><th colspan="3">@4</th></tr><tr><td><a>@1</a></td><td><a>@1</a></td></tr></table></div>
<div class="chapter"><div class="toc"><dl><dt><a>@5</a></dt></dl></div>{article}</div><div class="navfooter"><hr><table><tr><td><a>@1</a></td><td>@2</td></tr></table></div>"""),
    "mkdocs material": (plain, """<div data-md-component="skip"><a class="md-skip">@3</a></div><header class="md-header"><nav class="md-header__inner md-grid">@4</nav></header>
<div class="md-container"><main class="md-main"><div class="md-main__inner md-grid"><div class="md-sidebar md-sidebar--primary"><nav class="md-nav md-nav--primary">@9</nav></div><div class="md-sidebar md-sidebar--secondary"><nav class="md-nav md-nav--secondary">@5</nav></div>
<div class="md-content"><article class="md-content__inner md-typeset">{article}</article></div></div></main><footer class="md-footer">@6</footer></div>"""),
    "hugo docs": (plain, """<div class="container-fluid td-outer"><div class="td-main"><div class="row"><aside class="td-sidebar d-print-none"><nav class="td-sidebar-nav">@8</nav></aside>
<aside class="td-sidebar-toc"><div class="td-page-meta"><a>@3</a></div><div class="td-toc">@4</div></aside><main class="col-12 col-md-9 col-xl-8 ps-md-5" role="main"><nav class="td-breadcrumbs">@2</nav><div class="td-content">{article}</div></main></div></div><footer class="td-footer">@5</footer></div>"""),
    "jekyll": (plain, """<header class="site-header"><nav class="site-nav">@4</nav></header><main class="page-content"><div class="wrapper"><article class="post h-entry"><div class="post-content e-content">{article}</div>
<div id="disqus_thread">@3</div></article></div></main><footer class="site-footer h-card">@8</footer>"""),
    "wordpress classic": (plain, """<div id="page" class="hfeed site has-sidebar"><header id="masthead" class="site-header"><nav id="site-navigation" class="main-navigation">@4</nav></header>
<div id="content" class="site-content sidebar-right"><div id="primary" class="content-area"><article class="post hentry"><div class="entry-content">{article}<div class="sharedaddy sd-sharing-enabled"><div class="sd-block sd-social"><h3 class="sd-title">Share this:</h3><ul><li><a>@2</a></ul></div></div>
<div id="jp-relatedposts" class="jp-relatedposts"><h3><em>Related</em></h3><p>@6</p></div></div><footer class="entry-footer">@4</footer></article><nav class="navigation post-navigation">@4</nav>
<div id="comments" class="comments-area"><h2 class="comments-title">@4</h2><ol class="comment-list"><li><p>@40</p></li></ol><div id="respond" class="comment-respond"><h3 id="reply-title">Leave a Reply</h3><p>@9</p></div></div></div>
<div id="secondary" class="widget-area sidebar"><div class="widget"><h3>@2</h3><ul><li><a>@5</a></ul></div></div></div><footer id="colophon" class="site-footer">@5</footer></div>"""),
    "wordpress blocks": (plain, """<div class="wp-site-blocks"><header class="wp-block-template-part"><nav class="wp-block-navigation">@4</nav></header><main class="wp-block-group"><div class="entry-content wp-block-post-content">{article}</div>
<div class="wp-block-comments"><h2>@3</h2><p>@20</p></div><div class="wp-block-post-comments-form comment-respond"><h3>@3</h3><p>@8</p></div></main><footer class="wp-block-template-part">@6</footer></div>"""),
    "genesis": (plain, """<div class="site-container"><div class="site-inner"><div class="content-sidebar-wrap"><div class="content" id="genesis-content">{article}</div><aside class="sidebar sidebar-primary widget-area">@9</aside></div></div><footer class="site-footer">@4</footer></div>"""),
    "ghost": (plain, """<div class="viewport"><header id="gh-head" class="gh-head"><nav class="gh-head-menu">@4</nav></header><div class="site-content"><main class="site-main"><article class="gh-article post"><section class="gh-content">{article}</section></article>
<section class="article-comments gh-canvas"><p>@9</p></section></main></div><footer class="site-footer">@5</footer></div>"""),
    "discourse": (plain, """<div id="main-outlet" class="wrap" role="main"><div class="topic-body crawler-post"><div class="post" itemprop="text">{article}</div></div><div id="related-topics" class="more-topics__list"><h3>Related topics</h3><table><tr><th>@1<th>@1<tr><td>@2<td>@1</table></div></div><footer class="container">@4</footer>"""),
    "question": (plain, """<div class="container"><div id="left-sidebar" class="left-sidebar js-pinned-left-sidebar"><nav>@6</nav></div><div id="content" class="snippet-hidden"><div id="mainbar"><div class="answer"><div class="s-prose js-post-body">{article}</div><div class="comments js-comments-container"><ul class="comments-list"><li>@20</ul></div></div></div>
<div id="sidebar" class="show-votes"><div class="module sidebar-related"><h4>@1</h4><a>@6</a></div></div></div></div><footer id="footer" class="site-footer">@7</footer>"""),
    "mediawiki": (plain, """<div class="mw-page-container"><a class="mw-jump-link" href="#content">@3</a><div id="mw-navigation"><div id="mw-head" class="noprint">@4</div></div><div id="content" class="mw-body" role="main"><div id="bodyContent" class="vector-body"><div id="mw-content-text"><div class="mw-parser-output">
<div id="toc" class="toc" role="navigation"><h2>Contents</h2><ul><li><a>@6</a></ul></div>{article}<div class="navbox noprint">@9</div></div></div><div id="catlinks" class="catlinks"><nav>@3</nav></div></div></div><footer id="footer" class="mw-footer">@7</footer></div>"""),
    "govuk": (accordion, """<div class="govuk-cookie-banner" role="region" aria-label="Cookies on GOV.UK"><div class="govuk-cookie-banner__message"><h2>@4</h2><p>@9</p><button>@2</button></div></div><a class="govuk-skip-link">@4</a><header class="govuk-header" role="banner">@2</header>
<div class="govuk-width-container"><div class="govuk-breadcrumbs"><ol><li><a>@2</a></ol></div><main class="govuk-main-wrapper" id="main-content">{article}</main></div><footer class="govuk-footer">@5</footer>"""),
    "bootstrap": (plain, """<nav class="navbar navbar-expand">@4</nav><div class="container two-col-sidebar"><div class="row"><div class="col-8">{article}</div><div class="col-4 sidebar"><div class="card"><p>@9</p></div></div></div></div><div class="footer">@4</div><div id="cookieConsent" class="cookie-consent"><p>@12</p></div>"""),
    "doxygen": (plain, """<div id="top"><div id="titlearea"></div><div id="main-nav"></div></div><div id="nav-path" class="navpath"><ul><li><a>@1</a></ul></div><div id="doc-content"><div class="contents"><div class="toc interactive"><ul><li><a>@3</a></ul></div><div class="textblock">{article}</div></div></div>"""),
    "drupal": (plain, """<div id="page-wrapper" class="one-sidebar sidebar-first"><div id="page"><div id="main-wrapper"><div id="main" class="with-sidebar l-sidebar-fixed"><div id="content" class="column panel-two-col-sidebar-right"><div class="section">{article}</div></div><div id="sidebar-first" class="column sidebar"><div class="section"><h2>@1</h2><p>@6</p></div></div></div></div></div></div>"""),
    "mdbook": (plain, """<div id="body-container"><nav id="sidebar" class="sidebar">@8</nav><div id="page-wrapper" class="page-wrapper"><div class="page"><div id="menu-bar" class="menu-bar sticky"><h1 class="menu-title">@2</h1></div><div id="content" class="content"><main>{article}</main><nav class="nav-wrapper">@2</nav></div></div></div></div>"""),
    "share wrapper": (plain, """<div class="nav_drawer_slide"><div class="menu-wrap"><ul class="menu"><li><a>@5</a></ul></div><div class="share-btns_containerParent"><div class="post">{article}</div><div class="share-buttons"><a>@2</a></div></div></div>"""),
    "misnamed": (plain, """<div class="footer-top"><p>@3</p></div><div class="sidebar"><div class="social">{article}</div></div><div class="copyright">@4</div>"""),
}  # fmt: skip


def page(name: str) -> str:
    """Build the page of a layout, in which `wN` are words of text and `xN` words of furniture."""
    section, template = LAYOUTS[name]
    words = count()

    def numbered(kind: str, n: int) -> str:
        return " ".join(f"{kind}{next(words)}" for _ in range(n))

    def inside() -> str:
        items = "".join(f"<li>{numbered('w', 4)}</li>" for _ in range(3))
        return f"<p>{numbered('w', 30)}</p><ul>{items}</ul><p>{numbered('w', 20)}<sup>2</sup></p>"

    sections = [
        section("-".join(title.lower().split()), f"{title} {numbered('w', 1)}", inside()) for title in TITLES[::2]
    ]
    sections += [section("-".join(title.lower().split()), title, inside()) for title in TITLES[1::2]]
    article = f"<h1>{numbered('w', 3)}</h1><p>{numbered('w', 30)}</p>{''.join(sections)}"
    around = re.sub(r"@(\d+)", lambda n: numbered("x", int(n[1])), template)
    return f'<html><body class="menu sidebar">{around.replace("{article}", article)}</body></html>'
