"""The built site in a real browser, opened as files, as from the offline zip."""

import gzip
import shutil
import tomllib
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from dlref_site.assets import fetch
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "html"
TERMS = sorted(set((SITE / "terms").glob("*.html")) - {SITE / "terms/index.html"})
OTHERS = sorted(set(SITE.rglob("*.html")) - {*TERMS, SITE / "404.html"})  # that one is at home under an address alone
SOME = [SITE / "index.html", SITE / "references.html", *TERMS[-1:], *sorted(SITE.glob("gallery/*/plot_*.html"))[:1]]
PHONE = {"viewport": {"width": 390, "height": 844}}
LARGEST = 150_000  # bytes of a term page, gzip, without fonts and photographs
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]

BEST = 5  # a name's page is among so many first results of the search

every_term = pytest.mark.parametrize("path", TERMS, ids=lambda path: path.stem)
some_pages = pytest.mark.parametrize("path", SOME, ids=lambda path: path.stem)


@pytest.fixture(scope="session")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    assert program, "no Chromium: install Debian's package chromium, or Chrome"
    assert TERMS, "no build/html: run `nox -s docs` first"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=QUIET)
        yield browser
        browser.close()


@contextmanager
def opened(browser, path, query="", **options):
    """Open a page as a file, without a network; note what it complains about and what it asks for."""
    context = browser.new_context(offline=True, **options)
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.complaints, page.requests = [], []
    page.on("console", lambda m: page.complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(path.as_uri() + query)
    yield page
    context.close()


# --- the checks: each returns what is wrong --------------------------------------------------------------------------


def noise(page):
    return page.complaints


def outside(page):
    return [url for url in page.requests if urlsplit(url).scheme not in ("file", "data", "blob")]


def overflow(page):
    """Return what is wider than the screen, unless a box of its own lets it scroll."""
    return page.evaluate("""() => {
        const width = document.documentElement.clientWidth;
        const clips = e => getComputedStyle(e).overflowX != "visible";
        const boxed = e => !e.matches(".content") && (clips(e) || boxed(e.parentElement));
        return [...document.querySelectorAll(".content *")]
            .filter(e => e.getBoundingClientRect().right > width + 1 && !boxed(e.parentElement))
            .map(e => "wider than the screen: " + e.tagName + "." + e.className);
    }""")


def unreachable(page):
    """Return the boxes that scroll sideways and that the Tab key does not reach, once the page has settled."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 100)))")
    return page.evaluate("""() => [...document.body.querySelectorAll("*")]
        .filter(e => ["auto", "scroll"].includes(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth + 1)
        .filter(e => e.checkVisibility() && e.tabIndex < 0 && !e.querySelector("a, button, [tabindex='0']"))
        .map(e => "no key scrolls " + e.tagName + "." + e.className)""")


def heavy(page):
    """Return the files of a page if they are too heavy together."""
    sizes = {}
    for url in set(page.requests):
        path = Path(unquote(urlsplit(url).path))
        if path.suffix not in (".woff2", ".jpg", ".webp", ".png"):
            sizes[path.name] = len(gzip.compress(path.read_bytes()))
    return [f"{sum(sizes.values())} bytes: {sizes}"] if sum(sizes.values()) > LARGEST else []


def barriers(page):
    """Return what axe-core calls a serious or critical barrier; of formulas and drawings one hears MathML and alt."""
    page.add_script_tag(path=fetch(ROOT) / "axe-core" / "axe.min.js")
    found = page.evaluate("""async () => (await axe.run({exclude: [".katex-html", "svg[role=img] > *"]})).violations""")
    return [
        f"{v['id']}: {v['help']}: {node['target']} {node['failureSummary']}"
        for v in found
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"]
    ]


def same_in_the_dark(page):
    """Return what keeps its color when the reader turns the lights off with the button."""
    colors = """() => Object.fromEntries(Object.entries({
        paper: ["body", "backgroundColor"], text: ["article p", "color"], code: [".highlight .kn", "color"],
        figure: ["svg[role=img] path[style*='--ink'], svg[role=img] use[style*='--ink']", "stroke"],
    }).map(([name, [selector, property]]) => {
        const element = document.querySelector(selector);
        return [name, element ? getComputedStyle(element)[property] : "missing"];
    }))"""
    light = page.evaluate(colors)
    while page.evaluate("document.body.dataset.theme") != "dark":
        page.locator(".theme-toggle:visible").first.click()
    dark = page.evaluate(colors)
    return [f"{name}: {light[name]}" for name in light if light[name] == dark[name]]


def unready_without_scripts(page):
    needed = (".definition", ".katex-html", ".highlight", "figure svg")
    return [f"nothing to see of {css}" for css in needed if not page.locator(css).first.is_visible()]


def wrongly_copied(page):
    """Press every copy button: snippets and scripts are the files that test_snippets runs, cells what the build ran."""
    clicked = """selector => {
        let copied = "";
        navigator.clipboard.writeText = async text => { copied = text; };  // as dlref.js copies
        document.addEventListener("copy", () => { copied = document.activeElement.value; });  // as sphinx-copybutton
        return [...document.querySelectorAll(selector)].map(box => {
            copied = "";
            box.querySelector("button").click();
            return [copied, box.querySelector("a.download")?.href, box.querySelector("pre")?.innerText];
        });
    }"""
    found = []
    for text, file, _ in page.evaluate(clicked, ".takeaway"):
        if text.strip() != Path(unquote(urlsplit(file).path)).read_text("utf-8").strip():
            found.append(f"{file} is not what its button copies: {text[:200]!r}")
    for text, _, code in page.evaluate(clicked, ".cell_input"):
        if text.strip() != code.strip():
            found.append(f"the button of a cell copies {text[:200]!r}")
    return found


def clean(found):
    if found:
        pytest.fail("\n".join(found), pytrace=False)


# --- every page ------------------------------------------------------------------------------------------------------


@every_term
def test_page_of_a_term(browser, path):
    """One visit, because loading is what takes time: wide and light, then dark, then as narrow as a phone."""
    with opened(browser, path, color_scheme="light") as page:
        assert page.locator(".takeaway").count(), "nothing to take away"
        found = outside(page) + heavy(page) + wrongly_copied(page) + same_in_the_dark(page)
        page.set_viewport_size(PHONE["viewport"])
        clean(found + overflow(page) + unreachable(page) + noise(page))


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.relative_to(SITE).as_posix())
def test_other_page(browser, path):
    with opened(browser, path, **PHONE) as page:
        clean(outside(page) + overflow(page) + unreachable(page) + noise(page))


def names_of_terms():
    for term in tomllib.loads((ROOT / "docs" / "terms.toml").read_text("utf-8"))["term"]:
        yield from ((name, term["slug"]) for name in (term["title"], *term.get("aliases", ())))


def unfound(page, names):
    """Return the names that do not lead to their term by the search."""
    search = """names => names.map(name =>
        Search._performSearch(...Search._parseQuery(name)).reverse().map(result => result[0]))"""
    page.wait_for_function("Search._index")
    results = page.evaluate(search, [name for name, _ in names])
    first = [found[:BEST] for found in results]
    return [f"{name}: {f}" for (name, slug), f in zip(names, first, strict=True) if f"terms/{slug}" not in f]


def test_search_finds_every_name(browser):
    with opened(browser, SITE / "search.html") as page:
        clean(unfound(page, list(names_of_terms())) + noise(page))


@pytest.mark.parametrize("name", ["no such word", "momentum"])
def test_a_name_that_is_not_found_is_noticed(browser, name):
    with opened(browser, SITE / "search.html") as page:
        assert name in unfound(page, [(name, "relu")])[0]


# --- some pages ------------------------------------------------------------------------------------------------------


@some_pages
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_barriers(browser, path, theme):
    with opened(browser, path, color_scheme=theme) as page:
        clean(barriers(page))


@pytest.mark.parametrize("path", TERMS[:: len(TERMS) // 8 or 1], ids=lambda path: path.stem)
def test_page_reads_without_scripts(browser, path):
    with opened(browser, path, java_script_enabled=False) as page:
        clean(unready_without_scripts(page))


def test_the_clipboard_holds_what_was_copied(browser):
    with opened(browser, TERMS[0], permissions=["clipboard-read", "clipboard-write"]) as page:
        takeaway = page.locator(".takeaway").first
        takeaway.locator("button").click()
        page.wait_for_function("async () => await navigator.clipboard.readText() !== ''")
        file = TERMS[0].parent / takeaway.locator("a.download").get_attribute("href")
        assert page.evaluate("navigator.clipboard.readText()").strip() == file.read_text("utf-8").strip()


def test_a_reader_searches(browser):
    name, slug = next(names_of_terms())
    with opened(browser, SITE / "search.html", f"?q={quote(name)}") as page:
        page.locator(f"#search-results li a[href*='terms/{slug}.html']").first.wait_for()
        clean(noise(page))


# --- the checks find what they are for -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "broken", "words"),
    [
        (noise, "<script>console.error('broken')</script>", "broken"),
        (noise, "<script>nothing.at.all()</script>", "nothing is not defined"),
        (outside, "<img src='https://example.org/x.png'>", "https://example.org/x.png"),
        (outside, "<style>@import 'https://example.org/x.css';</style>", "https://example.org/x.css"),
        (overflow, "<div class='wide' style='width: 1000px'>x</div>", "DIV.wide"),
        (unreachable, "<div class='box' style='overflow-x: auto'><p style='width: 2000px'>x</p></div>", "DIV.box"),
        (heavy, "<script src='heavy.js'></script>", "heavy.js"),
        (barriers, "<button style='width: 9px'></button>", "button-name"),
        (barriers, "<p style='color: #eee; background: #fff'>pale</p>", "color-contrast"),
        (same_in_the_dark, "<style>body { background: #fff !important }</style>", "paper"),
        (same_in_the_dark, "<style>.highlight .kn { color: #000 !important }</style>", "code"),
        (same_in_the_dark, "<style>svg * { stroke: #000 !important }</style>", "figure"),
        (unready_without_scripts, "<style>.katex-html { display: none }</style>", "katex-html"),
        (wrongly_copied, "<div class='cell_input'><button></button><pre>x</pre></div>", "button of a cell copies"),
        (wrongly_copied, "<script>mislead()</script>", "is not what its button copies"),
    ],
)
def test_a_broken_page_is_found(browser, tmp_path, check, broken, words):
    (tmp_path / "heavy.js").write_text(f"// {[i**9 for i in range(60_000)]}", encoding="utf-8")
    broken = broken.replace("heavy.js", (tmp_path / "heavy.js").as_uri())
    broken = broken.replace("mislead()", "document.querySelector('.takeaway button').dataset.copyFrom = 'names'")
    copy = tmp_path / "copy.html"
    whole = SITE / "index.html" if check is barriers else TERMS[0]
    base = f'<base href="{whole.parent.as_uri()}/">'
    text = whole.read_text("utf-8").replace("<head>", f"<head>{base}").replace("</article>", f"{broken}</article>")
    copy.write_text(text, encoding="utf-8")
    options = {"java_script_enabled": False} if check is unready_without_scripts else PHONE
    with opened(browser, copy, **options) as page:
        found = check(page)
    assert any(words in problem for problem in found), found
