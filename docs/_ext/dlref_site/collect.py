"""What all pages say together: gathered pages, files for other programs, the site as one archive.

Directives: `all-terms`, `all-conventions`, `all-misstated`, `verification`. Files, written when the build
has succeeded: snippets/, terms.json, verification.json, verification.csv and, last, dlref-site.zip.
"""

import csv
import io
import json
import posixpath
import zipfile
from pathlib import Path

from digest import package_digest
from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

from .apparatus import (
    NOT_MEASURED,
    Conventions,
    Measured,
    circumstances,
    covered,
    ledger_table,
    shown_function,
    verdict,
)
from .facts import Piece, all_facts, measured, package_of, root_of, slug_of, terms_of
from .markup import link_to_page, link_to_term, list_of, words

logger = logging.getLogger(__name__)

ARCHIVE = "dlref-site.zip"


# --- gathered pages --------------------------------------------------------------------------------------------------


class AllTerms(Piece):
    """``{all-terms} family``: the terms of each family; ``{all-terms} letter``: every title and alias from A to Z."""

    required_arguments = 1

    def build(self):
        terms = terms_of(self.env)
        self.env.note_dependency(str(terms.path))
        if self.arguments[0] == "family":
            return list(self._by_family(terms))
        if self.arguments[0] == "letter":
            return list(self._by_letter(terms))
        return self.warn(f"expected family or letter, got {self.arguments[0]}")

    def _by_family(self, terms):
        for family in sorted({term.family for term in terms}):
            links = [link_to_term(self.env, term.slug, term.title) for term in terms if term.family == family]
            yield nodes.rubric("", "", self._family(family))
            yield nodes.paragraph("", "", *list_of(links, " · "), classes=["term-list"])

    def _family(self, family):
        page = f"families/{family}"
        return link_to_page(self.env, f"/{page}") if page in self.env.found_docs else nodes.Text(family)

    def _by_letter(self, terms):
        names = [(term.title, term, False) for term in terms]
        names += [(alias, term, True) for term in terms for alias in term.aliases if alias != term.title]
        letters = {}
        for name, term, alias in sorted(names, key=lambda entry: entry[0].lower()):
            first = name[0].upper() if name[0].isalpha() else "0–9"
            letters.setdefault(first, []).append(self._entry(name, term, alias))
        for letter, items in letters.items():
            yield nodes.rubric("", letter)
            yield nodes.bullet_list("", *items, classes=["term-list"])

    def _entry(self, name, term, alias):
        line = nodes.paragraph("", "", link_to_term(self.env, term.slug, name))
        if alias:
            line += nodes.Text(f" → {term.name}")
        return nodes.list_item("", line)


class AllConventions(Conventions):
    """``{all-conventions}``: every question on which libraries differ, by term."""

    required_arguments = 0

    def build(self):
        rows = self.rows("conventions")
        if rows is None:
            return [words(NOT_MEASURED, "not-measured")]
        terms = terms_of(self.env)
        found = []
        for slug in sorted({row["term"] for row in rows}, key=lambda slug: terms.name(slug).lower()):
            found.append(nodes.rubric("", "", link_to_term(self.env, slug)))
            found += [self.convention(row) for row in rows if row["term"] == slug]
        return found or [words("No term has one yet.")]


class misstatements(nodes.General, nodes.Element):
    """Stands where the misstatements of all pages go, until all pages are read."""


class AllMisstated(Piece):
    """``{all-misstated}``: every common misstatement with its correction, by term."""

    def build(self):
        return [misstatements()]


class GatherMisstatements(SphinxPostTransform):
    """Copy the boxes of all pages; before references are resolved, so that their links are right from here."""

    default_priority = 5

    def run(self, **kwargs):
        for place in list(self.document.findall(misstatements)):
            place.replace_self(list(self._boxes()))

    def _boxes(self):
        terms = terms_of(self.env)
        with_some = [name for name, facts in all_facts(self.env).items() if facts.misstated and slug_of(name) in terms]
        for docname in sorted(with_some, key=lambda name: terms.name(slug_of(name)).lower()):
            yield nodes.rubric("", "", link_to_page(self.env, f"/{docname}", terms.name(slug_of(docname))))
            for box in self.env.get_doctree(docname).findall(_is_misstatement):
                copy = box.deepcopy()
                for node in copy.findall(nodes.Element):
                    node["ids"] = []  # they belong to the page
                for link in copy.findall(addnodes.pending_xref):
                    self._move(link)
                yield copy

    def _move(self, link):
        """Let a link start here: Sphinx resolves it from the page that it was written on."""
        if link.get("reftype") == "doc" and not link["reftarget"].startswith("/"):
            folder = posixpath.dirname(link["refdoc"])
            link["reftarget"] = "/" + posixpath.normpath(posixpath.join(folder, link["reftarget"]))
        link["refdoc"] = self.env.docname


def _is_misstatement(node):
    return isinstance(node, nodes.container) and "misstated" in node["classes"]


def rewrite_gathered(app, env):
    """The page of misstatements is made of other pages: write it anew whenever one of them was read."""
    return [name for name, facts in all_facts(env).items() if "all-misstated" in facts.directives]


class Verification(Measured):
    """``{verification}``: the whole ledger as one table for each family."""

    def build(self):
        rows = self.rows("ledger")
        if rows is None:
            return [words(NOT_MEASURED, "not-measured")]
        ledger = measured(self.env, "ledger")
        known = self.package.functions()
        rows = [row for row in rows if row["function"] in known or row["function"].startswith("_math.")]
        found = [words(circumstances(ledger, rows), "circumstances")]
        for family in [*self.package.families(), "_math"]:
            own = [row for row in rows if row["function"].startswith(f"{family}.")]
            if own:
                title = "the elementary functions of kernels" if family == "_math" else family
                found += [nodes.rubric("", title), ledger_table(sorted(own, key=shown_function))]
        return found


# --- files -----------------------------------------------------------------------------------------------------------


def check_ledger(app):
    """The ledger must be of this very source."""
    env = app.env
    ledger = measured(env, "ledger", note=False)
    if ledger is None or app.config.dlref_unmeasured:
        return
    if ledger["source"] != package_digest(root_of(env)):
        logger.warning("build/ledger.json is older than src/dlref: run the tests (nox -s tests)", type="dlref")
    terms = terms_of(env)
    written = {function for term in terms for function in term.functions}
    lost = set(package_of(env).functions()) - written - covered(ledger["rows"])
    for function in sorted(lost):
        logger.warning("build/ledger.json has no row of %s", function, type="dlref")


def write_files(app, error):
    if error is not None or app.builder.format != "html":
        return
    out, env = Path(app.outdir), app.env
    snippets = {name: text for facts in all_facts(env).values() for name, text in facts.snippets.items()}
    write_folder(out / "snippets", snippets)
    ledger = measured(env, "ledger", note=False)
    terms = list(terms_json(env, ledger))
    # The equations use the site's own TeX commands; who reads them elsewhere needs these.
    whole = {"dlref": app.config.release, "macros": getattr(app.config, "katex_macros", {}), "terms": terms}
    write(out / "terms.json", json.dumps(whole, indent=1, ensure_ascii=False))
    if ledger is not None and not app.config.dlref_unmeasured:
        write(out / "verification.json", json.dumps(ledger, indent=1, ensure_ascii=False))
        write(out / "verification.csv", ledger_csv(ledger))


def terms_json(env, ledger):
    """Yield one entry for each term: what the site says of it, for other programs."""
    facts = all_facts(env)
    for term in terms_of(env):
        page = facts.get(f"terms/{term.slug}")
        if page is None:
            continue
        rows = [row for row in ledger["rows"] if row["function"] in term.functions] if ledger else []
        yield {
            "id": term.slug,
            "title": term.title,
            "page": f"terms/{term.slug}.html",
            "family": term.family,
            "aliases": term.aliases,
            "confused": term.confused,
            "definition": " ".join(definition["text"] for definition in page.definitions),
            "definitions": [{"id": d["id"], "text": d["text"]} for d in page.definitions],
            "needs": term.needs,
            "equations": [{"id": e["id"], "tex": e["tex"]} for e in page.equations],
            "functions": term.functions,
            "snippets": [f"snippets/{name}" for name in page.snippets],
            "sources": page.cited,
            "ledger": [
                {k: row[k] for k in ("function", "direction", "dtype", "oracle")} | {"verdict": verdict(row)}
                for row in rows
            ],
        }


def ledger_csv(ledger):
    """Return the ledger's rows as CSV, one column for each field."""
    columns = list(dict.fromkeys(key for row in ledger["rows"] for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(ledger["rows"])
    return text.getvalue()


def write(path, text):
    """Write a file unless it says so already: unchanged files keep their time, and the archive stays."""
    if not text.endswith("\n"):
        text += "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def write_folder(folder, files):
    """Write files into a folder of their own and remove what is no longer among them."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.iterdir()) - {folder / name for name in files}:
        stale.unlink()
    for name, text in files.items():
        write(folder / name, text)


def write_archive(app, error):
    """Pack the site for reading without a network; the last thing that a build does."""
    if error is not None or app.builder.format != "html" or not app.config.dlref_archive:
        return
    out = Path(app.outdir)
    archive = out / ARCHIVE
    files = sorted(p for p in out.rglob("*") if p.is_file() and p != archive and not _private(p.relative_to(out)))
    if archive.exists() and archive.stat().st_mtime_ns >= max(p.stat().st_mtime_ns for p in files):
        with zipfile.ZipFile(archive) as packed:
            if len(packed.namelist()) == len(files):
                return
    folder = f"dlref-{app.config.release}"
    partial = archive.with_suffix(".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
        for path in files:
            packed.write(path, f"{folder}/{path.relative_to(out).as_posix()}")
    partial.replace(archive)


def _private(path):
    return path.parts[0].startswith(".") or path.suffix == ".part"


def setup(app):
    app.setup_extension("dlref_site.apparatus")
    app.add_config_value("dlref_archive", True, "", [bool])
    app.add_node(misstatements)
    for name, directive in {
        "all-terms": AllTerms,
        "all-conventions": AllConventions,
        "all-misstated": AllMisstated,
        "verification": Verification,
    }.items():
        app.add_directive(name, directive)
    app.add_post_transform(GatherMisstatements)
    app.connect("builder-inited", check_ledger)
    app.connect("env-updated", rewrite_gathered)
    app.connect("build-finished", write_files)
    app.connect("build-finished", write_archive, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
