"""What a page says beyond its text: definitions with ids, edge cases, conventions, errors, costs, what to read next.

All numbers come from the files that the tests wrote to build/, and from docs/benchmarks.json. Where one of them is
missing, the page warns, and so the build fails; with DLREF_UNMEASURED=1 it says "not measured here" instead.
"""

import html
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.util import logging

from .facts import Piece, depend, facts_of, measured, read_json, slug_of, terms_of
from .markup import link_to_term, list_of, table, words
from .terms_file import SECTIONS

logger = logging.getLogger(__name__)

NOT_MEASURED = "Not measured here: this copy of the site was built without running the tests."
ID = re.compile(r"(?P<slug>[a-z0-9-]+)\.(?P<anchor>[DE]\d+[a-z]?)")


# --- definitions -----------------------------------------------------------------------------------------------------


class Definition(Piece):
    """``:::{definition} relu.D1``: the exact sentence, with a permanent id that a reader can see and link to."""

    required_arguments = 1
    has_content = True

    def build(self):
        name = self.arguments[0]
        match = ID.fullmatch(name)
        if not match or match["slug"] != self.slug or not match["anchor"].startswith("D"):
            return self.warn(f"the id is {name}; on this page it is {self.slug}.D1 or another number")
        box = nodes.container("", classes=["definition"], ids=[match["anchor"]])
        box += self.parse_content_to_nodes()
        self.facts.definitions.append({"id": name, "text": plain_text(box), "line": self.lineno})
        link = nodes.reference("", name, refuri=f"#{match['anchor']}", classes=["permanent-id"])
        link["reftitle"] = "Permanent address of this definition"
        box.insert(0, nodes.paragraph("", "", link, classes=["permanent-id"]))
        # {ref}`relu.D1` leads here from any page.
        standard = self.env.get_domain("std")
        standard.labels[name.lower()] = (self.env.docname, match["anchor"], name)
        standard.anonlabels[name.lower()] = (self.env.docname, match["anchor"])
        return [box]


def plain_text(node):
    """Return the words of a node on one line, with formulas as ``$TeX$``."""
    if isinstance(node, (nodes.math, nodes.math_block)):
        return f"${node.astext().strip()}$"
    if isinstance(node, nodes.Text):
        return node.astext()
    text = "".join(plain_text(child) for child in node.children)
    return re.sub(r"\s+", " ", text).strip() if isinstance(node, nodes.container) else text


# --- what the tests measured -----------------------------------------------------------------------------------------


class Measured(Piece):
    """A directive whose content comes from a file that the tests wrote."""

    def rows(self, name):
        """Return the rows of build/<name>.json, or None where nothing was measured and that is said already."""
        data = measured(self.env, name)
        if data is not None:
            return data["rows"]
        if not self.config.dlref_unmeasured:
            self.warn(f"build/{name}.json is missing; the tests write it (nox -s tests)")
        return None

    def absent(self, message):
        """Say on the page that nothing is there; anywhere but in an unmeasured copy that is a warning."""
        if not self.config.dlref_unmeasured:
            return self.warn(message)
        return [words(NOT_MEASURED, "not-measured")]

    def value(self, text):
        """A value is code unless it is written as TeX or with marks of its own."""
        return self.inline(text) if re.search(r"[$`]", text) else [nodes.literal("", text)]


class Edges(Measured):
    """``{edges} activations.relu ...``: the table of edge cases that the tests run."""

    required_arguments = 1
    optional_arguments = 100

    def build(self):
        functions = self.functions(self.arguments)
        rows = self.rows("edges") or []
        rows = [row for function in functions for row in rows if row["function"] == function]
        for function in functions:
            if not any(row["function"] == function for row in rows) and not self.config.dlref_unmeasured:
                self.warn(f"the tests have no edge case of {function}")
        if not rows:
            return [words(NOT_MEASURED, "not-measured")] if self.config.dlref_unmeasured else []
        several = len({row["function"] for row in rows}) > 1
        head = [*(["function"] if several else []), "input", "output", "why"]
        return [table(head, [self._cells(row, several) for row in rows], "edges")]

    def _cells(self, row, several):
        cells = [self.value(row["input"]), self.value(row["output"]), self.inline(row["why"])]
        return [[nodes.literal("", row["function"].rpartition(".")[2])], *cells] if several else cells


class Conventions(Measured):
    """``{conventions} relu``: where libraries differ, with an input that tells them apart; ``:id:`` picks one table."""

    required_arguments = 1
    option_spec = {"id": str}  # noqa: RUF012 - docutils' own convention

    def build(self):
        if not terms_of(self.env).knows(self.arguments[0]):
            return self.warn(f"there is no term {self.arguments[0]}")
        rows = self.rows("conventions") or []
        wanted = self.options.get("id")
        rows = [row for row in rows if row["term"] == self.arguments[0] and wanted in (None, row["id"])]
        if not rows:
            return self.absent(f"the tests have no convention {wanted or ''} of {self.arguments[0]}".replace("  ", " "))
        return [self.convention(row) for row in rows]

    def convention(self, row, anchor=True):
        """Return one question with its table."""
        box = nodes.container("", classes=["conventions"], ids=[row["id"]] if anchor else [])
        box += nodes.paragraph("", "", nodes.strong("", "", *self.inline(row["title"])), classes=["question"])
        box += nodes.paragraph("", "", nodes.Text("Input that tells them apart: "), *self.inline(row["input"]))
        cells = [
            [self.inline(r["who"]), self.inline(r["rule"]), self.value(r["result"]), self._source(r["source"])]
            for r in row["rows"]
        ]
        box += table(["who", "rule", "result", "source"], cells)
        return box

    def _source(self, source):
        """A source is "computed" by the tests, a key of the bibliography, or words."""
        entries = self.env.get_domain("cite").bibdata.data.entries
        return self.inline(f"{{cite:t}}`{source}`" if source in entries else source)


class Ledger(Measured):
    """``{ledger}``: how far each function of the term is from its oracles, as the tests measured it."""

    def build(self):
        if self.term is None:
            return []
        rows = self.rows("ledger")
        if rows is None:
            return [words(NOT_MEASURED, "not-measured")]
        known = self.package.functions()
        own = [function for function in self.term.functions if function in known]
        rows = [row for function in own for row in rows if row["function"] == function]
        for function in sorted(set(own) - covered(rows)):
            self.absent(f"the tests have no row of {function}")
        if not rows:
            return self.absent("the tests have measured nothing of this term")
        ledger = measured(self.env, "ledger")
        return [ledger_table(rows), words(circumstances(ledger, rows), "circumstances")]


def covered(rows):
    """Return the functions that rows of the ledger judge; the row of a gradient judges ``<function>_backward``."""
    return {row["function"] for row in rows if row["direction"] == "forward"} | {shown_function(row) for row in rows}


def shown_function(row):
    name = row["function"]
    return name if row["direction"] == "forward" or name.endswith("_backward") else name + "_backward"


def ledger_table(rows):
    """Return the ledger with one line for each judgment, in the order of the rows; the numbers first."""
    types = sorted({row["dtype"] for row in rows})
    judgments = {}
    for row in rows:
        judgments.setdefault((shown_function(row), _against(row)), {})[row["dtype"]] = row
    checked = any(row.get("gradcheck") is not None for row in rows)
    lines = []
    for (function, against), by_type in judgments.items():
        errors = [verdict(by_type[t]).replace(" of ", "\nof ") if t in by_type else "" for t in types]
        differences = [_finite_differences(by_type.values())] if checked else []
        lines.append([[nodes.literal("", function.rpartition(".")[2])], *errors, *differences, _folded(*against)])
    head = ["function", *types, *(["finite differences"] if checked else []), "against"]
    return table(head, lines, "ledger")


def _against(row):
    """Name the oracle, how the distance is measured where the number does not say it, how many values and which.

    A label that only repeats the range is left out.
    """
    plain = row["measure"] in {"exact", "ULP"} or row["error"] == row["bound"] == 0
    measure = "" if plain else f", {row['measure']}"
    label = row.get("label", "")
    words = f"{label}: {row['range']}" if label and row["range"] not in label else row["range"]
    return f"{row['oracle']}{measure}", f"{row['count']:,} values", words


def _folded(oracle, count, words):
    """The oracle and the count for the eye, the ranges behind them for whoever asks."""
    fold = f'<details class="range"><summary>{html.escape(count)}</summary>{html.escape(words)}</details>'
    return [nodes.paragraph("", oracle), nodes.raw("", fold, format="html")]


def _finite_differences(rows):
    checks = [row["gradcheck"] for row in rows if row.get("gradcheck") is not None]
    return short(max(checks), 1) if checks else ""


def short(value, digits=2):
    """Write a number with few digits: ``1.8e-6``."""
    return re.sub(r"e([+-])0*", lambda e: f"e{e[1].strip('+')}", f"{value:.{digits}g}")


def verdict(row):
    """Return an error beside its bound, in words: ``1.13 of 4 ULP``."""
    error, bound, measure = row["error"], row["bound"], row["measure"]
    if measure == "exact":
        return "bit for bit" if error == 0 else f"{error:g} values differ"
    if measure == "ULP":
        return f"{error:.2f} of {bound:g} ULP"
    if error == bound == 0:
        return "no difference"
    return f"{short(error)} of {short(bound)}"


PACKAGES = {"numpy": "NumPy", "numba": "Numba", "torch": "PyTorch", "scipy": "SciPy", "keras": "Keras", "onnx": "ONNX"}


def circumstances(ledger, rows):
    """Return with what, where and when the rows were measured: the packages that were asked, and our own."""
    oracles = (
        " ".join(row["oracle"] for row in rows).lower().replace("pytorch", "torch").replace("sklearn", "scikit-learn")
    )
    versions = [
        f"{PACKAGES.get(name, name)} {version}"
        for name, version in ledger["versions"].items()
        if name in {"numpy", "numba"} or name in oracles
    ]
    tools = ", ".join([f"Python {ledger['python']}", *versions])
    measured_with = f"dlref {ledger['dlref']}, {tools}; {ledger['cpu']}; {ledger['date']}"
    return f"Each cell is the worst error, of its bound. {measured_with}."


class Cost(Piece):
    """``{cost}``: operations and bytes in our words, then the times of docs/benchmarks.json."""

    has_content = True

    def build(self):
        if not self.content:
            self.warn("say in a sentence how many operations and bytes it takes")
        box = nodes.container("", classes=["cost"])
        box += self.parse_content_to_nodes()
        path = Path(self.env.srcdir) / "benchmarks.json"
        depend(self.env, path)
        benchmarks = read_json(path)
        own = self.term.functions if self.term else ()
        rows = [row for row in benchmarks["rows"] if row["function"] in own] if benchmarks else []
        if rows:
            box += table(
                ["function", "values", "type", "dlref", "peer", "time of the peer", "ratio"],
                [_timing(row) for row in rows],
                "cost-times",
            )
            box += words(f"Ratio above 1: dlref is faster. {benchmarks['cpu']}, {benchmarks['date']}.", "circumstances")
        return [box]


def _timing(row):
    name = [nodes.literal("", row["function"].rpartition(".")[2])]
    times = [microseconds(row["ours_us"]), row["peer"], microseconds(row["peer_us"])]
    return [name, row["size"], row["dtype"], *times, f"{row['ratio']:.2f}"]


def microseconds(value):
    """Return a time with three digits and a unit that fits: ``6.02 ms``."""
    for factor, unit in ((1e6, "s"), (1e3, "ms")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.3g} µs"


# --- what people say -------------------------------------------------------------------------------------------------


class Misstated(Piece):
    """``:::{misstated} "the wrong statement"``: with where it stands, and the correction."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"where": str}  # noqa: RUF012
    has_content = True

    def build(self):
        if not self.options.get("where"):
            return self.warn("say where it is stated, in :where:")
        if not self.content:
            return self.warn("the correction is missing")
        self.facts.misstated += 1
        box = nodes.container("", classes=["misstated"], ids=[f"misstated-{self.facts.misstated}"])
        quote = self.arguments[0].strip().strip('"“”')
        claim = nodes.inline("", "", nodes.Text("“"), *self.inline(quote), nodes.Text("”"), classes=["claim"])
        where = nodes.inline("", "", *self.inline(self.options["where"]), classes=["where"])
        box += nodes.paragraph("", "", claim, nodes.Text(" ("), where, nodes.Text(")"))
        box += self.parse_content_to_nodes()
        return [box]


class Next(Piece):
    """``{next}``: what to read before this page, and after it."""

    def build(self):
        if self.term is None:
            return []
        box = nodes.container("", classes=["next"])
        for label, slugs in (("Before this: ", self.term.needs), ("Next: ", terms_of(self.env).next_after(self.slug))):
            if slugs:
                links = [link_to_term(self.env, slug) for slug in slugs]
                box += nodes.paragraph("", "", nodes.strong("", label), *list_of(links))
        return [box] if box.children else []


# --- what every page must have ---------------------------------------------------------------------------------------


def note_equations(doctree, facts):
    for node in doctree.findall(nodes.math_block):
        if node.get("label"):
            facts.equations.append({"id": node["label"], "tex": node.astext().strip(), "line": node.line})


def note_citations(doctree, facts):
    from sphinxcontrib.bibtex.citation_target import parse_citation_targets

    for node in doctree.findall(addnodes.pending_xref):
        if node.get("refdomain") == "cite":
            facts.cited += [t.key for t in parse_citation_targets(node["reftarget"]) if t.key not in facts.cited]


def examine(app, doctree):
    """Complete the facts of a term's page and say what the page lacks."""
    env = app.env
    slug = slug_of(env.docname)
    if slug is None:
        return
    facts = facts_of(env)
    note_equations(doctree, facts)
    note_citations(doctree, facts)
    term = terms_of(env).get(slug)
    for line, message in lacking(slug, term, facts, doctree):
        logger.warning("%s", message, location=(env.docname, line), type="dlref")


def lacking(slug, term, facts, doctree):
    """Yield (line, what is missing or wrong) on a term's page."""
    if "term" not in facts.directives:
        yield 1, "the page has no {term} below its title"
    if not facts.definitions:
        yield 1, f"the page has no definition: write :::{{definition}} {slug}.D1"
    if not facts.equations:
        yield 1, f"the page has no numbered equation: write $$ ... $$ ({slug}.E1)"
    for equation in facts.equations:
        match = ID.fullmatch(equation["id"])
        if not match or match["slug"] != slug or not match["anchor"].startswith("E"):
            yield equation["line"] or 1, f"the equation is called {equation['id']}; here it is {slug}.E and a number"
    if not facts.cited:
        yield 1, "the page cites nothing: write {cite:t}`key` with a key of docs/references.bib"
    if not any(doctree.findall(lambda node: isinstance(node, (nodes.figure, nodes.image)))):
        yield 1, "the page has no figure: write {figure-of} and the name of its script"
    if not {"reference", "script"} & set(facts.directives):
        yield 1, "the page shows no code: write {reference} or {script}"
    for directive in ("ledger", "next", "cite-page"):
        if directive not in facts.directives:
            yield 1, f"the page has no {{{directive}}}"
    yield from wrong_sections(term, doctree)


def wrong_sections(term, doctree):
    """Yield what is wrong with the five sections: one missing without a reason, an unknown one, the order."""
    page = next(doctree.findall(nodes.section), doctree)
    titles = {child.next_node(nodes.title).astext(): child.line for child in page.children if _is_section(child)}
    absent = term.absent if term else {}
    for key, title in SECTIONS.items():
        if title not in titles and key not in absent:
            yield 1, f"the page has no section {title!r}, and absent in terms.toml gives no reason for {key}"
        if title in titles and key in absent:
            yield titles[title] or 1, f"terms.toml says that {key} is absent, but here it is"
    for title, line in titles.items():
        if title not in SECTIONS.values():
            yield line or 1, f"there is no section {title!r}; the sections are {', '.join(SECTIONS.values())}"
    known = [title for title in titles if title in SECTIONS.values()]
    if known != [title for title in SECTIONS.values() if title in known]:
        yield 1, f"the sections come in the order {', '.join(SECTIONS.values())}"


def _is_section(node):
    return isinstance(node, nodes.section)


def setup(app):
    for module in ("facts", "ids", "listings", "citing"):
        app.setup_extension(f"dlref_site.{module}")
    for name, directive in {
        "definition": Definition,
        "edges": Edges,
        "conventions": Conventions,
        "ledger": Ledger,
        "cost": Cost,
        "misstated": Misstated,
        "next": Next,
    }.items():
        app.add_directive(name, directive)
    app.connect("doctree-read", examine)
    app.add_css_file("apparatus.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
