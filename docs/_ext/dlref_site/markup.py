"""Small pieces of a document tree that several directives need."""

import html

from docutils import nodes
from sphinx import addnodes

from .facts import facts_of, terms_of


def link_to_term(env, slug, text=None):
    """Return a link to a term's page; plain text as long as the page is planned or unknown."""
    terms = terms_of(env)
    facts_of(env).links.add(slug)
    label = nodes.inline("", text or terms.name(slug), classes=["term"])
    if slug not in terms:
        return label
    return link_to_page(env, f"/terms/{slug}", label)


def link_to_page(env, target, label=None):
    """Return a link to a page, checked when the site is complete; without a label it shows the page's title."""
    address = {"refdomain": "std", "reftype": "doc", "reftarget": target, "refdoc": env.docname}
    text = label if isinstance(label, nodes.Node) else nodes.inline("", label or target)
    return addnodes.pending_xref("", text, refexplicit=label is not None, refwarn=True, **address)


def list_of(items, separator=", "):
    """Return nodes with a separator between them."""
    joined = []
    for item in items:
        joined += [nodes.Text(separator), item] if joined else [item]
    return joined


def words(text, *classes):
    return nodes.paragraph("", text, classes=list(classes))


def table(head, rows, *classes):
    """Return a table; a cell is a string, inline nodes, or blocks of which the first is a paragraph."""
    group = nodes.tgroup(cols=len(head))
    group += [nodes.colspec(colwidth=1) for _ in head]
    group += nodes.thead("", _row(head))
    group += nodes.tbody("", *(_row(row) for row in rows))
    return nodes.table("", group, classes=list(classes))


def _row(cells):
    row = nodes.row()
    for cell in cells:
        content = [nodes.Text(cell)] if isinstance(cell, str) else cell
        blocks = content and isinstance(content[0], nodes.paragraph)
        row += nodes.entry("", *(content if blocks else [nodes.paragraph("", "", *content)]))
    return row


def to_root(docname):
    """Return the way from a page to the site's root: ``../`` for ``terms/relu``."""
    return "../" * docname.count("/")


def copy_button(target, label):
    """Return a button that copies the text of the element with the id ``target``; a script makes it visible."""
    return raw(f'<button class="copy" type="button" data-copy-from="{target}" hidden>{html.escape(label)}</button>')


def raw(text):
    return nodes.raw("", text, format="html")


def listing(text, language, *classes, ids=()):
    """Return highlighted code; the class keeps other copy buttons away, since ours says what it copies."""
    block = nodes.literal_block(text, text, language=language)
    return nodes.container("", block, classes=["no-copybutton", *classes], ids=list(ids), is_div=True)
