"""Terms on pages: the head line of a page, links between terms, and what is wrong in docs/terms.toml."""

import pickle

from docutils import nodes
from sphinx import addnodes
from sphinx.application import ENV_PICKLE_FILENAME
from sphinx.util import logging
from sphinx.util.docutils import ReferenceRole

from .facts import Piece, all_facts, facts_of, package_of, slug_of, terms_of
from .markup import link_to_term, list_of

logger = logging.getLogger(__name__)


class TermRole(ReferenceRole):
    """``{term}`relu``` and ``{term}`the rectifier <relu>```; a planned term is plain text, an unknown one an error."""

    def run(self):
        terms = terms_of(self.env)
        if not terms.knows(self.target):
            message = "there is no term %s; docs/terms.toml has the slugs"
            logger.warning(message, self.target, location=self.get_location(), type="dlref")
        text = self.title if self.has_explicit_title else None
        return [link_to_term(self.env, self.target, text)], []


class HeadLine(Piece):
    """Also known as, not to be confused with, where it lives: from the page's entry in terms.toml."""

    def build(self):
        if self.term is None:
            return self.warn(f'docs/terms.toml has no complete entry with slug = "{self.slug or self.env.docname}"')
        head = nodes.container("", classes=["termhead"], ids=["names"])
        head += self._index()
        if self.term.aliases:
            head += nodes.paragraph("", "", nodes.Text("Also: "), *list_of(map(nodes.Text, self.term.aliases)))
        if self.term.confused:
            head += nodes.paragraph("", "", nodes.Text("Not to be confused with "), *self._confused(), nodes.Text("."))
        if self.term.functions:
            head += nodes.paragraph("", "", *self._home())
        return [head]

    def _index(self):
        """Let the index and the search find the page under its other names."""
        names = [self.term.title, *self.term.aliases]
        # "main": before pages that merely have the word in a title
        return addnodes.index(entries=[("single", name.replace(";", ","), "names", "main", None) for name in names])

    def _confused(self):
        entries = []
        for other, why in self.term.confused.items():
            known = terms_of(self.env).knows(other)
            name = link_to_term(self.env, other) if known else nodes.Text(other)
            entries.append(nodes.inline("", "", name, nodes.Text(" ("), *self.inline(why), nodes.Text(")")))
        return list_of(entries)

    def _home(self):
        """Say where the functions are, family by family."""
        families = {}
        for function in self.term.functions:
            families.setdefault(function.partition(".")[0], []).append(f"{{fn}}`{function}`")
        return self.inline("; ".join(f"`dlref.{family}`: {', '.join(roles)}" for family, roles in families.items()))


def report_problems(app):
    terms = terms_of(app.env)
    for line, message in terms.problems(package_of(app.env)):
        logger.warning("%s", message, location=f"{terms.path}:{line}", type="dlref")


def report_pages(app, env):
    """Each entry has a page and each page an entry."""
    terms = terms_of(app.env)
    for term in terms:
        if f"terms/{term.slug}" not in env.found_docs:
            location = f"{terms.path}:{terms.line(term.slug)}"
            logger.warning("%s has no page docs/terms/%s.md", term.slug, term.slug, location=location, type="dlref")
    for docname in sorted(env.found_docs):
        slug = slug_of(docname)
        if slug and slug not in terms:
            logger.warning("%s has no entry in docs/terms.toml", slug, location=(docname, 1), type="dlref")


def remember_view(app, doctree):
    """Note what this page took from terms.toml."""
    env = app.env
    facts = facts_of(env)
    facts.fingerprint = terms_of(app.env).fingerprint(slug_of(env.docname), facts.links)


def outdated(app, env, added, changed, removed):
    """Read a page again when what it shows of terms.toml has changed; another term's new alias is not that."""
    return [name for name, facts in all_facts(env).items() if name in env.found_docs and _is_outdated(env, name, facts)]


def _is_outdated(env, docname, facts):
    if any(path.exists() for path in facts.missing):
        return True
    return facts.fingerprint != terms_of(env).fingerprint(slug_of(docname), facts.links)


def keep_index(app, exception):
    """Keep what the search learned while pages were written: Sphinx stores its environment before that.

    Without this, the search of the next build would find no alias on a page that was not written again.
    """
    if exception is None and app.builder.format == "html":
        with open(app.doctreedir / ENV_PICKLE_FILENAME, "wb") as file:
            pickle.dump(app.env, file, pickle.HIGHEST_PROTOCOL)


def setup(app):
    app.setup_extension("dlref_site.facts")
    app.add_directive("term", HeadLine)
    # Sphinx has a role of this name for its glossaries, which this site does not use.
    app.add_role_to_domain("std", "term", TermRole(), override=True)
    app.connect("builder-inited", report_problems)
    app.connect("env-get-outdated", outdated)
    app.connect("doctree-read", remember_view)
    app.connect("env-check-consistency", report_pages)
    app.connect("build-finished", keep_index)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
