"""References of a page, and how to cite the page itself.

sphinxcontrib-bibtex puts all sources on one page. A reader of a term wants those of the term at its end: `cite-page`
repeats them there, and what the text cites leads to them.
"""

import functools
import html
from pathlib import Path

import yaml
from docutils import nodes
from pybtex.plugin import find_plugin, register_plugin
from sphinx.transforms.post_transforms import SphinxPostTransform

from .facts import Piece, facts_of, root_of
from .markup import copy_button, listing, raw


class references_of_page(nodes.General, nodes.Element):
    """Stands where the references go, until all pages are read and the entries are formatted."""


class CitePage(Piece):
    """``{cite-page}``: the page's references, then the page itself as BibTeX and as a plain line."""

    def build(self):
        if self.term is None:
            return []
        citation = root_of(self.env) / "CITATION.cff"
        self.env.note_dependency(str(citation))
        work = read_citation(citation)
        address = self.config.html_baseurl and f"{self.config.html_baseurl}{self.env.docname}.html"
        bibtex = bibtex_of(work, self.term, self.env.docname, address)
        line = plain_line(work, self.term, self._equation(), address)
        box = nodes.container("", classes=["citepage"])
        box += nodes.rubric("", "Cite this page")
        box += nodes.container("", raw(f'<code id="cite-line">{html.escape(line)}</code>'), classes=["cite-line"])
        box += copy_button("cite-line", "Copy the line")
        box += listing(bibtex, "bibtex", ids=["cite-bibtex"])
        box += copy_button("cite-bibtex", "Copy the BibTeX")
        return [references_of_page(), box]

    def _equation(self):
        """Cite the first equation that stands above; a page that has none yet, its definition."""
        labels = [node["label"] for node in self.state.document.findall(nodes.math_block) if node.get("label")]
        return labels[0] if labels else f"{self.slug}.D1"


@functools.lru_cache(maxsize=4)
def _read(path, _mtime):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def read_citation(path):
    """Return CITATION.cff, the only place with authors and date."""
    path = Path(path)
    return _read(path, path.stat().st_mtime_ns)


def author_of(work):
    """Return the authors as BibTeX has them; an organization in braces of its own."""
    people = []
    for author in work["authors"]:
        if "name" in author:
            people.append("{" + author["name"] + "}")
        else:
            people.append(f"{author['family-names']}, {author['given-names']}")
    return " and ".join(people)


def bibtex_of(work, term, docname, address=""):
    """Return the BibTeX entry of a page; it has an address only where the site has one."""
    date = str(work["date-released"])
    fields = {
        "author": author_of(work),
        "title": "{" + term.title + "}",
        "howpublished": f"{work['title']} {work['version']}, {docname}.html",
        "version": str(work["version"]),
        "date": date,
        "year": date[:4],
    }
    if address:
        fields["url"] = address
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@misc{{dlref-{term.slug},\n{lines}}}\n"


def plain_line(work, term, equation, address=""):
    line = f"{work['title']} {work['version']}, “{term.name}”, {equation}"
    return f"{line}, {address}#{equation.rpartition('.')[2]}" if address else line


class LocalReferences(SphinxPostTransform):
    """Fill in the references of a page, and let its citations lead to them."""

    default_priority = 20  # citations are resolved at 10

    def run(self, **kwargs):
        places = list(self.document.findall(references_of_page))
        if not places:
            return
        domain = self.env.get_domain("cite")
        # In the order of the page of all sources.
        known = {citation.key: citation for citation in domain.citations}
        cited = [key for key in known if key in facts_of(self.env, self.env.docname).cited]
        for place in places:
            place.replace_self(self._list([known[key] for key in cited], domain.backend) if cited else [])
        anchors = {known[key].citation_id: key for key in cited}
        for link in self.document.findall(nodes.reference):
            key = anchors.get(link.get("refuri", "").rpartition("#")[2])
            if key and not link["refuri"].startswith("#"):
                link["refuri"] = f"#ref-{key}"

    def _list(self, citations, backend):
        items = nodes.bullet_list(classes=["references"])
        for citation in citations:
            text = nodes.paragraph("", "", *citation.formatted_entry.text.render(backend))
            items += nodes.list_item("", text, ids=[f"ref-{citation.key}"])
        return [nodes.rubric("", "References"), items]


PLUGINS = {
    "pybtex.backends": ("docutils", "plaintext"),
    "pybtex.style.formatting": ("plain", "unsrt"),
    "pybtex.style.labels": ("number",),
    "pybtex.style.names": ("plain", "last", "lastfirst"),
    "pybtex.style.sorting": ("author_year_title", "none"),
}


def remember_plugins():
    """Tell pybtex once where its plugins are: for each citation it would search all that is installed, 15 ms long."""
    for group, names in PLUGINS.items():
        for name in names:
            register_plugin(group, name, find_plugin(group, name), force=True)


def stable_ids(app, config):
    """Let the page of all references have one anchor per key, whatever the order."""
    if not config.bibtex_cite_id:
        config.bibtex_cite_id = "cite-{key}"


def setup(app):
    app.setup_extension("sphinxcontrib.bibtex")
    remember_plugins()
    app.add_node(references_of_page)
    app.add_directive("cite-page", CitePage)
    app.add_post_transform(LocalReferences)
    app.connect("config-inited", stable_ids)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
