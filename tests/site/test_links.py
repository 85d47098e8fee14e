"""In the whole built site no link or anchor leads nowhere, nothing is loaded from elsewhere, every image has words."""

import functools
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import lxml.html
import pytest

SITE = Path(__file__).parents[2] / "build" / "html"
PAGES = sorted(SITE.rglob("*.html"))
GALLERYS = "sg-tag-list"  # sphinx-gallery gives this id to every section's list of tags; nothing links to it
LOADED = {"link": "href", "script": "src", "img": "src", "source": "src", "iframe": "src", "video": "src"}


@functools.cache
def anchors(page):
    """Return how often each id stands on a page."""
    return anchors_of(lxml.html.parse(page).getroot())


def anchors_of(tree):
    return Counter([*tree.xpath("//@id"), *tree.xpath("//a/@name")])


def problems(page, text):
    """Return what is wrong with this text, if it stood at the place of this page."""
    tree = lxml.html.fromstring(text)
    own = anchors_of(tree)
    found = [f"id {name!r} stands {n} times" for name, n in own.items() if n > 1 and name != GALLERYS]
    for element in tree.iter(*LOADED, "a"):
        kind, address = element.tag, element.get(LOADED.get(element.tag, "href"), "")
        url = urlsplit(address)
        if url.scheme in ("http", "https") or url.netloc:
            if kind != "a" and element.get("rel") != "canonical":
                found.append(f"<{kind}> loads from another host: {address}")
        elif not url.scheme and address:
            place = unquote(url.path)
            if place.startswith("/") and page.name != "404.html":  # alone at home in every folder
                found.append(f"<{kind}> depends on the host: {address}")
            target = (SITE / place.lstrip("/") if place.startswith("/") else page.parent / place) if place else page
            if not target.exists():
                found.append(f"<{kind}> leads nowhere: {address}")
            elif url.fragment and target.suffix == ".html":
                known = own if target.resolve() == page.resolve() else anchors(target.resolve())
                if unquote(url.fragment) not in known:
                    found.append(f"<{kind}> leads to no anchor: {address}")
    for element in tree.xpath("//img | //svg[@role='img']"):
        words = element.get("alt") or element.get("aria-label")
        if not words and "sphx-glr-thumbcontainer" not in (element.getparent().get("class") or ""):  # has its title
            found.append(f"an image without words: {element.get('src') or element.get('id')}")
    if page.parent == SITE / "terms" and page.stem != "index":
        shown = {"a definition": "definition", "a formula": "katex-html", "code": "highlight"}
        found += [f"no {name} without scripts" for name, css in shown.items() if not tree.find_class(css)]
    return found


def test_the_site_was_built():
    assert PAGES, "no build/html: run `nox -s docs` first"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(SITE).as_posix())
def test_nothing_leads_nowhere(page):
    found = problems(page, page.read_text("utf-8"))
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ('<a href="no-such-page.html">x</a>', "leads nowhere: no-such-page.html"),
        ('<a href="../index.html#no-such-id">x</a>', "leads to no anchor"),
        ('<a href="#no-such-id">x</a>', "leads to no anchor"),
        ('<a href="/index.html">x</a>', "depends on the host"),
        ('<img src="no-such-image.png" alt="x">', "<img> leads nowhere"),
        ('<img src="../_static/dlref.css">', "an image without words"),
        ('<svg role="img" id="figure"></svg>', "an image without words: figure"),
        ('<script src="https://example.org/x.js"></script>', "loads from another host"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "loads from another host"),
        ('<p id="twice"></p><p id="twice"></p>', "'twice' stands 2 times"),
    ],
)
def test_a_broken_page_is_found(broken, words):
    page = next(page for page in PAGES if page.parent.name == "terms")
    found = problems(page, page.read_text("utf-8").replace("</body>", broken + "</body>"))
    assert any(words in problem for problem in found), found
