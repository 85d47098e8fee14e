"""The apparatus of a page: what it shows, and that a page which lacks something fails by name."""

import json
import subprocess
import sys
import tomllib
import zipfile
from io import StringIO
from pathlib import Path

import pytest
import yaml
from digest import package_digest
from dlref_site import apparatus, citing, ids
from dlref_site.terms_file import read_terms
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

ROOT = Path(__file__).parents[2]

TOPIC = '''
"""A ramp."""

import numpy as np

from dlref._arrays import public, real
from dlref._compile import kernel, prange

__all__ = ["ramp", "ramp_backward"]


@public
def ramp(x: ArrayLike, /) -> NDArray:
    """Return the positive part.

    More words.
    """
    x = real("x", x)
    out = np.empty_like(x)
    _ramp(x.reshape(-1), out.reshape(-1))
    return out


@public
def ramp_backward(dy, x, /):
    """Return the gradient."""
    return np.where(np.asarray(x) > 0, dy, 0.0)


@kernel
def _ramp(x, out):
    for i in prange(x.size):
        out[i] = max(x[i], 0)  # the corner
'''

PAGE = """\
# Ramp (Long Name)

```{term}
```

:::{definition} ramp.D1
**A ramp is** $x$ or zero.
:::

![A ramp](ramp.svg)

## Definition

$$ y = \\max(x, 0) $$ (ramp.E1)

```{edges} ramp
```

## Backward

See {term}`step` and {term}`the other <slope>`, {fn}`activations.ramp`.

## Code

```{reference} ramp ramp_backward
:check: assert ramp([-1.0, 2.0]).tolist() == [0.0, 2.0]
```

## Where people disagree

```{conventions} ramp
```

:::{misstated} "A ramp is a step"
:where: a glossary
It is not; see {eq}`ramp.E1` and {cite:t}`author2020paper`.
:::

## Checked and cited

```{ledger}
```

```{cost}
One comparison.
```

```{next}
```

```{cite-page}
```
"""

STEP = PAGE.replace("ramp.D1", "step.D1").replace("ramp.E1", "step.E1").replace("# Ramp (Long Name)", "# Step")
STEP = STEP.replace("{edges} ramp", "{edges} step").replace("{conventions} ramp", "{conventions} step")
STEP = STEP.replace("{reference} ramp ramp_backward", "{reference} step").replace("assert ramp(", "assert step(")
STEP = STEP.replace("{fn}`activations.ramp`", "{fn}`activations.step`").replace("{term}`step`", "{term}`ramp`")

TERMS = """\
planned = ["slope"]

[[term]]
n = 1
slug = "ramp"
title = "Ramp (Long Name)"
family = "activations"
functions = ["activations.ramp", "activations.ramp_backward"]
aliases = ["hinge line"]
needs = ["slope"]

[[term]]
n = 2
slug = "step"
title = "Step"
family = "activations"
functions = ["activations.step"]
needs = ["ramp"]

[term.confused]
ramp = "has a slope"
"""

BIB = "@article{author2020paper, author={Author, Ann}, title={Paper}, journal={Journal}, year={2020}}\n"
CONF = """\
extensions = ["myst_parser", "sphinxcontrib.bibtex", "dlref_site.terms", "dlref_site.collect"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
bibtex_bibfiles = ["docs/references.bib"]
bibtex_reference_style = "author_year"
html_theme = "basic"
release = "0.1.0"
exclude_patterns = ["_static"]
"""


def row(function, direction="forward", **fields):
    facts = {"function": function, "direction": direction, "dtype": "float32", "oracle": "torch.x", "label": ""}
    facts |= {"range": "a few", "count": 1000, "measure": "ULP", "error": 1.125, "bound": 4.0, "gradcheck": None}
    return facts | fields


def edge(function):
    return {"function": function, "n": 0, "input": "-0.0", "output": r"$+\infty$", "why": "it is so"}


def convention(term):
    source = "author2020paper" if term == "step" else "computed"
    rows = [{"who": "us", "rule": "a rule", "result": "1", "source": "computed"}]
    rows.append({"who": "them", "rule": "another", "result": "2", "source": source})
    return {"term": term, "id": f"{term}-kink", "title": "The kink", "input": "zero", "rows": rows}


@pytest.fixture
def project(tmp_path):
    """A small project with two terms, in which nothing is missing."""
    files = {
        "conf.py": CONF,
        "pyproject.toml": '[project]\nname = "dlref"\nversion = "0.1.0"\n',
        "CITATION.cff": (ROOT / "CITATION.cff").read_text(encoding="utf-8"),
        "src/dlref/activations/__init__.py": "",
        "src/dlref/activations/ramps.py": TOPIC,
        "src/dlref/activations/steps.py": '__all__ = ["step"]\n\n\ndef step(x):\n    """Step."""\n    return x\n',
        "docs/index.md": "# Site\n\n```{toctree}\n:glob:\n\nterms/*\n*\n```\n",
        "docs/functions.md": "# Functions\n\n```{eval-rst}\n.. py:function:: dlref.activations.ramp\n"
        ".. py:function:: dlref.activations.ramp_backward\n.. py:function:: dlref.activations.step\n```\n",
        "docs/bibliography.md": "# Sources\n\n```{bibliography}\n```\n",
        "docs/misstated.md": "# Misstated\n\n```{all-misstated}\n```\n",
        "docs/conventions.md": "# Conventions\n\n```{all-conventions}\n```\n",
        "docs/verification.md": "# Verification\n\n```{verification}\n```\n",
        "docs/terms/index.md": "# All\n\n```{all-terms} family\n```\n\n```{all-terms} letter\n```\n",
        "docs/terms/ramp.md": PAGE,
        "docs/terms/step.md": STEP,
        "docs/terms/ramp.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
        "docs/terms.toml": TERMS,
        "docs/references.bib": BIB,
        "docs/ids.txt": "ramp.D1\nramp.E1\nstep.D1\nstep.E1\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    source = package_digest(tmp_path)
    circumstances = {
        "date": "2026-01-01",
        "dlref": "0.1.0",
        "python": "3.11",
        "cpu": "a CPU",
        "versions": {"numpy": "2"},
    }
    functions = ["activations.ramp", "activations.step"]
    ledger = [row("activations.ramp"), row("activations.ramp", "backward", gradcheck=1e-9), row("activations.step")]
    put(tmp_path, "ledger", {"source": source, **circumstances, "rows": ledger})
    put(tmp_path, "edges", {"source": source, "rows": [edge(f) for f in functions]})
    put(tmp_path, "conventions", {"source": source, "rows": [convention(t) for t in ("ramp", "step")]})
    return tmp_path


def put(root, name, data):
    (root / "build").mkdir(exist_ok=True)
    (root / "build" / f"{name}.json").write_text(json.dumps(data), encoding="utf-8")


def get(root, name):
    return json.loads((root / "build" / f"{name}.json").read_text(encoding="utf-8"))


def edit(root, name, old, new):
    path = root / name
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{name} has no {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def application(root, builder, warnings, **options):
    places = root / "docs", root, root / "build" / "html", root / "build" / "doctrees"
    return Sphinx(*places, builder, status=None, warning=warnings, **options)


def build(root, builder="dummy", parallel=0, **settings):
    """Return what the build warned of, and the application."""
    warnings = StringIO()
    with docutils_namespace():
        app = application(root, builder, warnings, parallel=parallel, confoverrides=settings)
        app.build()
    return warnings.getvalue(), app


def html(root, name):
    return (root / "build" / "html" / f"{name}.html").read_text(encoding="utf-8")


# --- what a site shows -----------------------------------------------------------------------------------------------


@pytest.fixture
def site(project):
    warnings, _ = build(project, "html")
    assert warnings == ""
    return project


def test_a_complete_site_builds_without_a_warning(site):
    page = html(site, "terms/ramp")
    assert "hinge line" in page
    assert 'id="D1"' in page
    assert 'href="#D1"' in page
    assert "1.12\nof 4 ULP" in page
    assert "1e-9" in page
    assert 'href="../snippets/ramp.py" download' in page
    assert "out[i] = max(x[i], 0)" in page.replace("</span>", "").replace('<span class="', "") or "_ramp" in page
    assert 'href="#ref-author2020paper"' in page
    assert 'id="ref-author2020paper"' in page
    assert "@misc" in page
    assert "“Ramp”, ramp.E1" in page
    assert 'href="step.html"' in page  # what needs this term
    assert "slope.html" not in page  # planned: no page to link to


def test_buttons_are_hidden_until_a_script_shows_them(site):
    page = html(site, "terms/ramp")
    buttons = [part.split(">")[0] for part in page.split("<button")[1:] if "data-copy-from" in part.split(">")[0]]
    assert len(buttons) == 3
    assert all("hidden" in button for button in buttons)
    for button in buttons:
        target = button.split('data-copy-from="')[1].split('"')[0]
        assert page.count(f'id="{target}"') == 1


def test_the_search_finds_aliases(site):
    index = (site / "build" / "html" / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))
    assert "hinge line" in index["indexentries"]
    page = index["docnames"].index("terms/ramp")
    found = index["terms"]["hing"]
    assert page == found or page in found


def test_the_search_finds_aliases_after_a_second_build(site):
    edit(site, "docs/terms/step.md", "See", "Look at")
    assert build(site, "html")[0] == ""
    index = (site / "build" / "html" / "searchindex.js").read_text(encoding="utf-8")
    assert "hinge line" in index


def test_gathered_pages(site):
    misstated = html(site, "misstated")
    assert misstated.count("A ramp is a step") == 2
    assert 'href="terms/ramp.html#equation-ramp-e1"' in misstated
    assert 'href="bibliography.html#cite-author2020paper"' in misstated
    assert html(site, "conventions").count("The kink") == 2
    assert "1.12\nof 4 ULP" in html(site, "verification")
    listing = html(site, "terms/index")
    assert "hinge line" in listing
    assert "→ Ramp" in listing


def test_files_for_programs(site):
    out = site / "build" / "html"
    terms = json.loads((out / "terms.json").read_text(encoding="utf-8"))["terms"]
    ramp = next(term for term in terms if term["id"] == "ramp")
    assert ramp["definition"] == "A ramp is $x$ or zero."
    assert ramp["equations"] == [{"id": "ramp.E1", "tex": "y = \\max(x, 0)"}]
    assert ramp["sources"] == ["author2020paper"]
    assert ramp["ledger"][0]["verdict"] == "1.12 of 4 ULP"
    assert (out / "verification.csv").read_text(encoding="utf-8").count("\n") == 4
    assert json.loads((out / "verification.json").read_text(encoding="utf-8"))["rows"]
    with zipfile.ZipFile(out / "dlref-site.zip") as archive:
        names = archive.namelist()
    assert "dlref-0.1.0/terms/ramp.html" in names
    assert "dlref-0.1.0/snippets/ramp.py" in names
    assert not any(name.endswith(".zip") for name in names)


def test_read_and_written_by_two_processes(project):
    assert build(project, "html", parallel=2)[0] == ""
    terms = json.loads((project / "build/html/terms.json").read_text(encoding="utf-8"))["terms"]
    assert [term["id"] for term in terms] == ["ramp", "step"]
    assert html(project, "misstated").count("A ramp is a step") == 2


def test_an_address_enters_citations_and_snippets(project):
    assert build(project, "html", html_baseurl="https://site.example/")[0] == ""
    page = html(project, "terms/ramp")
    assert "https://site.example/terms/ramp.html#E1" in page
    snippet = (project / "build/html/snippets/ramp.py").read_text(encoding="utf-8")
    assert "https://site.example/terms/ramp.html" in snippet.splitlines()[0]


# --- what is read again ----------------------------------------------------------------------------------------------


def outdated(root):
    """Return the pages of terms that the next build would read."""
    with docutils_namespace():
        app = application(root, "dummy", StringIO())
        added, changed, removed = app.env.get_outdated_files(False)
        changed = set(changed)
        for names in app.events.emit("env-get-outdated", app.env, added, changed, removed):
            changed |= set(names)
    return changed & {"terms/ramp", "terms/step"}


def test_nothing_changed_nothing_read(project):
    build(project)
    assert outdated(project) == set()


@pytest.mark.parametrize(
    ("file", "old", "new", "pages"),
    [
        ("docs/terms.toml", "hinge line", "another name", {"terms/ramp"}),
        ("docs/terms.toml", "has a slope", "climbs", {"terms/step"}),
        ("docs/terms.toml", "(Long Name)", "(Longer Name)", {"terms/ramp"}),
        ("docs/terms.toml", '"Step"', '"Stair"', {"terms/ramp", "terms/step"}),
        ("docs/terms.toml", 'planned = ["slope"]', 'planned = ["slope", "more"]', set()),
        ("src/dlref/activations/ramps.py", "the corner", "the kink", {"terms/ramp"}),
        ("build/edges.json", "it is so", "so it is", {"terms/ramp", "terms/step"}),
        ("CITATION.cff", "2026-", "2027-", {"terms/ramp", "terms/step"}),
    ],
)
def test_a_page_is_read_again_when_what_it_shows_has_changed(file, old, new, pages, project):
    build(project)
    edit(project, file, old, new)
    assert outdated(project) == pages


def test_a_page_is_read_again_when_times_appear(project):
    build(project)
    (project / "docs" / "benchmarks.json").write_text("{}", encoding="utf-8")
    assert outdated(project) == {"terms/ramp", "terms/step"}


# --- each check bites ------------------------------------------------------------------------------------------------

RAMP = "docs/terms/ramp.md"
CODE = "```{reference} ramp ramp_backward\n:check: assert ramp([-1.0, 2.0]).tolist() == [0.0, 2.0]\n```"


@pytest.mark.parametrize(
    ("file", "old", "new", "where", "words"),
    [
        (RAMP, "```{term}\n```", "", "ramp.md: # Ramp", "no {term}"),
        (RAMP, ":::{definition} ramp.D1\n**A ramp is** $x$ or zero.\n:::", "", "ramp.md: # Ramp", "no definition"),
        (RAMP, "ramp.D1", "step.D7", "ramp.md: :::{definition}", "step.D7"),
        (RAMP, "ramp.D1", "ramp.7", "ramp.md: :::{definition}", "ramp.7"),
        (RAMP, " (ramp.E1)", "", "ramp.md: # Ramp", "no numbered equation"),
        (RAMP, " (ramp.E1)", " (slope.E1)", "ramp.md: $$ y", "slope.E1"),
        (RAMP, "{cite:t}`author2020paper`", "a paper", "ramp.md: # Ramp", "cites nothing"),
        (RAMP, "![A ramp](ramp.svg)", "", "ramp.md: # Ramp", "no figure"),
        (RAMP, CODE, "", "ramp.md: # Ramp", "shows no code"),
        (RAMP, "```{ledger}\n```", "", "ramp.md: # Ramp", "no {ledger}"),
        (RAMP, "```{next}\n```", "", "ramp.md: # Ramp", "no {next}"),
        (RAMP, "```{cite-page}\n```", "", "ramp.md: # Ramp", "no {cite-page}"),
        (RAMP, "## Backward", "### Backward", "ramp.md: # Ramp", "no section 'Backward'"),
        (RAMP, "## Backward", "## Gradient", "ramp.md", "no section 'Gradient'"),
        (RAMP, "## Code", "## Backward", "ramp.md: # Ramp", "no section 'Code'"),
        (RAMP, ":check: assert ramp([-1.0, 2.0]).tolist() == [0.0, 2.0]\n", "", "ramp.md: ```{reference}", ":check:"),
        (RAMP, "assert ramp(", "assert slope(", "ramp.md: ```{reference}", "slope"),
        (RAMP, "{reference} ramp ", "{reference} slope ", "ramp.md: ```{reference}", "no public function slope"),
        (
            RAMP,
            "{edges} ramp",
            "{edges} activations.slope",
            "ramp.md: ```{edges}",
            "no public function activations.slope",
        ),
        (RAMP, "{fn}`activations.ramp`", "{fn}`activations.slope`", "ramp.md: See", "activations.slope"),
        (RAMP, "{term}`step`", "{term}`stairs`", "ramp.md: See", "no term stairs"),
        (RAMP, "{cite:t}`author2020paper`", "{cite:t}`nobody1900`", "ramp.md", "nobody1900"),
        (RAMP, ":where: a glossary\n", "", "ramp.md: :::{misstated}", ":where:"),
        (RAMP, "One comparison.", "", "ramp.md", "operations and bytes"),
        (RAMP, "{conventions} ramp", "{conventions} slope", "ramp.md: ```{conventions}", "no convention of slope"),
        (
            RAMP,
            "{conventions} ramp\n",
            "{conventions} ramp\n:id: other\n",
            "ramp.md: ```{conventions}",
            "no convention other",
        ),
        (RAMP, CODE, "```{script}\nx = (\n```", "ramp.md: ```{reference}", "line 1 of the script"),
        (RAMP, CODE, "```{script}\nimport dlref\n```", "ramp.md: ```{reference}", "checks nothing"),
        (RAMP, CODE, "```{script}\nassert True\n```", "ramp.md: ```{reference}", "does not import dlref"),
        ("docs/terms/step.md", "step.D1", "ramp.D1", "step.md", "ramp.D1"),
        ("docs/terms/step.md", "(step.E1)", "(ramp.E1)", "step.md", "ramp.E1"),
        (
            "docs/terms.toml",
            '"activations.ramp"',
            '"activations.slope"',
            'terms.toml: slug = "ramp"',
            "activations.slope",
        ),
        (
            "docs/terms.toml",
            '["activations.step"]',
            '["activations.ramp"]',
            'terms.toml: slug = "step"',
            "belongs to ramp",
        ),
        ("docs/terms.toml", 'needs = ["slope"]', 'needs = ["stairs"]', 'terms.toml: slug = "ramp"', "stairs"),
        ("docs/terms.toml", 'needs = ["slope"]', 'needs = ["step"]', 'terms.toml: slug = "ramp"', "needs itself"),
        (
            "docs/terms.toml",
            'slug = "step"',
            'slug = "stairs"',
            'terms.toml: slug = "step"',
            "no page docs/terms/stairs.md",
        ),
        ("docs/terms.toml", 'slug = "step"', 'slug = "stairs"', "step.md: # Step", "no entry in docs/terms.toml"),
        ("docs/terms.toml", 'slug = "step"', 'slug = "ramp"', 'terms.toml: slug = "ramp"', "two entries"),
        ("docs/terms.toml", "n = 2", "n = 1", 'terms.toml: slug = "step"', "number 1 is taken"),
        ("docs/terms.toml", "aliases =", "alias =", 'terms.toml: slug = "ramp"', "no field alias"),
        (
            "docs/terms.toml",
            'planned = ["slope"]',
            'planned = ["slope", "step"]',
            'terms.toml: slug = "step"',
            "planned",
        ),
        (
            "docs/terms.toml",
            'family = "activations"',
            'family = "ramps"',
            'terms.toml: slug = "ramp"',
            "no family ramps",
        ),
        ("docs/terms.toml", 'needs = ["ramp"]', 'absent = { backward = "why" }', "step.md", "backward is absent"),
        (
            "docs/terms.toml",
            'needs = ["ramp"]',
            'absent = { coda = "why" }',
            'terms.toml: slug = "step"',
            "absent names coda",
        ),
        ("docs/ids.txt", "ramp.E1\n", "", "ramp.md: $$ y", "not in docs/ids.txt"),
        ("docs/ids.txt", "step.D1\n", "ramp.E2\nstep.D1\n", "ids.txt: step.D1", "ramp.E2 is listed but on no page"),
        ("build/ledger.json", "activations.step", "activations.slope", "step.md", "no row of activations.step"),
        ("build/ledger.json", '"backward"', '"forward"', "ramp.md", "no row of activations.ramp_backward"),
        ("build/ledger.json", '"source": "', '"source": "x', "", "older than src/dlref"),
        (
            "build/edges.json",
            "activations.ramp",
            "activations.slope",
            "ramp.md: ```{edges}",
            "no edge case of activations.ramp",
        ),
        (
            "build/conventions.json",
            '"term": "ramp"',
            '"term": "slope"',
            "ramp.md: ```{conventions}",
            "no convention of ramp",
        ),
        (
            "src/dlref/activations/ramps.py",
            "import numpy as np",
            "import scipy as np",
            "ramp.md: ```{reference}",
            "imports scipy",
        ),
        ("src/dlref/activations/ramps.py", 'real("x", x)', 'unknown("x", x)', "ramp.md: ```{reference}", "unknown"),
    ],
)
def test_each_check_bites(file, old, new, where, words, project):
    place = location(project, where)
    edit(project, file, old, new)
    if file.startswith("src/"):  # only the change itself is at fault
        ledger = get(project, "ledger")
        put(project, "ledger", ledger | {"source": package_digest(project)})
    warnings = build(project)[0]
    assert any(place in line and words in line for line in warnings.splitlines()), f"{place}:\n{warnings}"


def location(root, where):
    """Return ``ramp.md:14:`` for ``ramp.md: the beginning of its line 14``; a name alone may be any line."""
    name, _, beginning = where.partition(": ")
    if not beginning:
        return name
    path = next(root.glob(f"docs/**/{name}"))
    lines = path.read_text(encoding="utf-8").splitlines()
    return f"{name}:{next(i for i, line in enumerate(lines, 1) if line.startswith(beginning))}:"


@pytest.mark.parametrize("name", ["ledger", "edges", "conventions"])
def test_a_missing_measurement_fails(name, project):
    (project / "build" / f"{name}.json").unlink()
    warnings = build(project)[0]
    assert f"build/{name}.json is missing" in warnings
    assert "ramp.md:" in warnings


def test_without_measurements_a_copy_can_say_so(project):
    for name in ("ledger", "edges", "conventions"):
        (project / "build" / f"{name}.json").unlink()
    assert build(project, "html", dlref_unmeasured=True)[0] == ""
    assert html(project, "terms/ramp").count("Not measured here") == 3
    assert "Not measured here" in html(project, "verification")
    assert not (project / "build/html/verification.json").exists()


def test_a_long_snippet_is_refused(project):
    body = "".join(f"    x = x + {i}\n" for i in range(100))
    edit(project, "src/dlref/activations/steps.py", "    return x\n", body + "    return x\n")
    put(project, "ledger", get(project, "ledger") | {"source": package_digest(project)})
    warnings = build(project)[0]
    assert "step.md:" in warnings
    assert "above 100 nobody pastes it" in warnings


def test_an_absent_section_with_a_reason_may_be_missing(project):
    edit(project, "docs/terms.toml", 'needs = ["ramp"]', 'needs = ["ramp"]\nabsent = { backward = "a step" }')
    edit(project, "docs/terms/step.md", "## Backward\n", "")
    assert build(project)[0] == ""


# --- ids -------------------------------------------------------------------------------------------------------------


def test_ids_are_added_and_sorted(project):
    edit(project, "docs/ids.txt", "ramp.E1\n", "")
    edit(project, RAMP, "## Backward", "$$ z = y $$ (ramp.E10)\n\n## Backward")
    edit(project, RAMP, "## Code", "$$\nz = y\n$$ (ramp.E2)\n\n## Code")
    assert ids.add_ids(project / "docs", ["step"]) == []
    assert ids.add_ids(project / "docs") == ["ramp.E1", "ramp.E10", "ramp.E2"]
    listed = list(ids.read_ids(project / "docs" / "ids.txt"))
    assert listed == ["ramp.D1", "ramp.E1", "ramp.E2", "ramp.E10", "step.D1", "step.E1"]
    assert ids.add_ids(project / "docs") == []
    assert build(project)[0] == ""


def test_no_id_was_ever_taken_back():
    command = ["git", "log", "--format=", "--patch", "--no-ext-diff", "--", "docs/ids.txt"]
    try:
        log = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        log = ""  # no git: there is no history to judge
    published = {line[1:].strip() for line in log.splitlines() if ids_line(line)}
    lost = published - set(ids.read_ids(ROOT / "docs" / "ids.txt"))
    assert not lost, f"docs/ids.txt has lost {', '.join(sorted(lost))}"


def ids_line(line):
    return line.startswith("-") and not line.startswith("---") and "." in line and not line[1:].startswith("#")


# --- citing ----------------------------------------------------------------------------------------------------------


def test_citation_file_and_package_agree():
    work = citing.read_citation(ROOT / "CITATION.cff")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert work["title"] == declared["name"]
    assert str(work["version"]) == declared["version"]
    assert [author["name"] for author in work["authors"]] == [author["name"] for author in declared["authors"]]
    assert declared["license"] in work["license"]


def test_bibtex_says_what_the_citation_file_says(project):
    work = yaml.safe_load((project / "CITATION.cff").read_text(encoding="utf-8"))
    term = read_terms(project / "docs" / "terms.toml").get("ramp")
    entry = citing.bibtex_of(work, term, "terms/ramp")
    for value in (work["version"], work["date-released"], work["authors"][0]["name"], "Ramp (Long Name)"):
        assert str(value) in entry
    assert "url" not in entry
    assert "url = {https://x/terms/ramp.html}" in citing.bibtex_of(
        work, term, "terms/ramp", "https://x/terms/ramp.html"
    )


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"measure": "exact", "error": 0.0, "bound": 0.0}, "bit for bit"),
        ({"measure": "exact", "error": 3.0, "bound": 0.0}, "3 values differ"),
        ({"measure": "ULP", "error": 1.126, "bound": 4.0}, "1.13 of 4 ULP"),
        ({"measure": "normwise", "error": 3.21e-16, "bound": 1.1e-15}, "3.2e-16 of 1.1e-15"),
        ({"measure": "normwise", "error": 1.84e-6, "bound": 1.2e-5}, "1.8e-6 of 1.2e-5"),
        ({"measure": "count", "error": 0.0, "bound": 0.0}, "no difference"),
    ],
)
def test_verdicts(fields, words):
    assert apparatus.verdict(row("activations.ramp", **fields)) == words


def test_a_gradient_is_a_row_of_its_own_function():
    rows = [row("f.g"), row("f.g", "backward"), row("f.h_backward", "backward")]
    assert apparatus.covered(rows) == {"f.g", "f.g_backward", "f.h_backward"}


@pytest.mark.parametrize(("value", "words"), [(0.8123, "0.812 µs"), (1234.5, "1.23 ms"), (2.5e6, "2.5 s")])
def test_times(value, words):
    assert apparatus.microseconds(value) == words


def test_every_id_on_the_pages_is_listed():
    command = [sys.executable, str(ROOT / "docs/_ext/dlref_site/ids.py")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == []
