"""Families: the list of a family's terms, its functions, and a sidebar that unfolds only the branch that is read.

A term is added to its family by its entry in terms.toml; no page lists the others by hand.
"""

from pathlib import Path

from docutils import nodes
from sphinx.directives.other import TocTree
from sphinx.util.docutils import SphinxDirective

from .markup import link_to_page
from .terms_file import read_terms


class Family(TocTree):
    """``{family} activations``: the terms of a family that have a page, its figures and its functions."""

    required_arguments = 1
    has_content = False

    def run(self):
        family = self.arguments[0]
        pages = [f"/terms/{slug}" for slug in self._slugs(family) if self._exists(f"terms/{slug}.md")]
        found = [nodes.paragraph("", "No term of this family has a page yet.")]
        if pages:
            self.options |= {"maxdepth": 1, "titlesonly": True}
            self.content = pages
            found = super().run()
        return [*found, *self._more(family)]

    def _slugs(self, family):
        path = Path(self.env.srcdir, "terms.toml")
        self.env.note_dependency(str(path))
        return [term.slug for term in read_terms(path) if term.family == family]

    def _exists(self, path):
        return Path(self.env.srcdir, path).exists()

    def _more(self, family):
        paragraph = nodes.paragraph("", classes=["family-more"])
        for text, docname in (("Its functions", f"api/{family}"), ("Its figures", f"gallery/{family}/index")):
            if self._exists(f"{docname}.md") or self._exists(f"{docname}.rst"):
                paragraph += [link_to_page(self.env, f"/{docname}", text), nodes.Text(" ")]
        return [paragraph] if len(paragraph) else []


class Functions(SphinxDirective):
    """``{functions} activations``: the docstrings of a family's public functions."""

    required_arguments = 1

    def run(self):
        family = self.arguments[0]
        place = Path(self.env.app.confdir, "src", "dlref", family)
        if not (place.is_dir() or place.with_suffix(".py").exists()):
            return [nodes.paragraph("", "This family has no functions yet.")]
        return self.parse_text_to_nodes(f"```{{eval-rst}}\n.. automodule:: dlref.{family}\n   :members:\n```\n")


def short_sidebar(app, pagename, templatename, context, doctree):
    """Furo unfolds the whole tree on every page: with a hundred terms a long list, and a slow build.

    With Sphinx's ``collapse`` the sidebar has the families and, below the current one, its terms.
    """
    if "toctree" in context:
        whole = context["toctree"]
        context["toctree"] = lambda **options: whole(**(options | {"collapse": True}))


ROLES = {
    'role="heading"': 'role="heading" aria-level="2"',  # the caption of a list of pages
    'role="list" class="citation-list"': 'class="citation-list"',  # whose entries are no items of a list
}


def mend_roles(app, pagename, templatename, context, doctree):
    """What docutils and Sphinx tell a screen reader and no standard allows."""
    for part in {"body", "furo_navigation_tree"} & context.keys():
        for role, mended in ROLES.items():
            context[part] = context[part].replace(role, mended)


def setup(app):
    app.add_directive("family", Family)
    app.add_directive("functions", Functions)
    app.connect("html-page-context", short_sidebar, priority=400)  # furo: 500
    app.connect("html-page-context", mend_roles, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
