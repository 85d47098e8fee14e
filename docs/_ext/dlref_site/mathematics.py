r"""TeX becomes HTML while the site is built, so that a page needs no script for its mathematics.

KaTeX runs inside the build process, in the QuickJS engine; `assets` fetches it. A formula that KaTeX refuses is a
warning with page and line.

Equations of a term are labeled ``relu.E1``. The label is their permanent id: the page's anchor is ``#E1``, the margin
shows (E1), and ``{eq}`relu.E1``` reads "E1" on the page itself and "relu.E1" everywhere else.
"""

import functools
import html
import json
import re
from pathlib import Path

import quickjs
from docutils import nodes
from sphinx.domains.math import MathDomain
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

from .assets import fetch

logger = logging.getLogger(__name__)

LABEL = re.compile(r"(?P<page>[a-z0-9-]+)\.(?P<anchor>E\d+[a-z]?)")

# Errors instead of guesses: "strict" refuses what LaTeX would refuse, "trust" keeps \href and \includegraphics out.
# MathML beside the HTML is what screen readers and clipboards take.
OPTIONS = {"strict": "error", "trust": False, "output": "htmlAndMathml"}


# --- KaTeX -----------------------------------------------------------------------------------------------------------


@functools.cache
def renderer(script, macros):
    """Return ``render(tex, display) -> HTML``; one engine per process, because an engine is not thread-safe."""
    context = quickjs.Context()
    context.eval(Path(script).read_text("utf8"))
    options = json.dumps(OPTIONS | {"macros": json.loads(macros)})
    # Through JSON: the binding hands over strings with characters outside the basic plane wrongly.
    context.eval(
        "function render(tex, display) {"
        f" return JSON.stringify(katex.renderToString(tex, Object.assign({options}, {{displayMode: display}}))); }}"
    )
    call = context.get("render")

    @functools.cache
    def render(tex, display):
        return json.loads(call(tex, display))

    return render


def to_html(tex, display, root, macros):
    """Return a formula as HTML, or raise ValueError with KaTeX's own words."""
    try:
        script = fetch(root) / "katex" / "dist" / "katex.min.js"
        return renderer(script, json.dumps(macros, sort_keys=True))(tex, display)
    except quickjs.JSException as error:
        raise ValueError(str(error).strip().splitlines()[0]) from None


# --- equations and their names ---------------------------------------------------------------------------------------


def anchor(label, docname):
    """Return the anchor of an equation on its page, or None if the label is not one of the permanent ids."""
    match = LABEL.fullmatch(label or "")
    if match and match["page"] == docname.rpartition("/")[2]:
        return match["anchor"]
    return None


class EquationDomain(MathDomain):
    """Sphinx's equations, called by their permanent ids."""

    def note_equation(self, docname, labelid, location=None):
        match = LABEL.fullmatch(labelid)
        if match and anchor(labelid, docname) is None:
            logger.warning("equation %s belongs on the page %s", labelid, match["page"], location=location)
        super().note_equation(docname, labelid, location)

    def resolve_xref(self, env, fromdocname, builder, typ, target, node, contnode):
        docname = self.equations.get(target, (None,))[0]
        name = docname and anchor(target, docname)
        if not name:
            return super().resolve_xref(env, fromdocname, builder, typ, target, node, contnode)
        text = name if docname == fromdocname else target
        return make_refnode(builder, fromdocname, docname, name, nodes.inline("", text, classes=["equation-id"]))


class EquationAnchors(SphinxPostTransform):
    """Give each equation its permanent anchor, and furo's wrapper around it none: ids are unique."""

    formats = ("html",)
    default_priority = 600  # after furo has wrapped tables and equations

    def run(self, **kwargs):
        for node in self.document.findall(nodes.math_block):
            name = anchor(node.get("label"), self.env.docname)
            if name:
                node["ids"] = [name, *node["ids"]]
                node["number"] = name
        for wrapper in self.document.findall(nodes.container):
            if "math-wrapper" in wrapper["classes"] or "table-wrapper" in wrapper["classes"]:
                wrapper["ids"] = []


# --- HTML ------------------------------------------------------------------------------------------------------------


def _render(translator, node, display):
    app = translator.builder.app
    tex = node.astext().strip()
    try:
        return to_html(tex, display, app.confdir, app.config.katex_macros)
    except ValueError as error:
        logger.warning("%s", error, location=node, type="tex")
        return f"<code>{html.escape(tex)}</code>"


def visit_inline(translator, node):
    translator.body.append(translator.starttag(node, "span", "", CLASS="math"))
    translator.body.append(_render(translator, node, display=False) + "</span>")
    raise nodes.SkipNode


def visit_block(translator, node):
    tex = html.escape(node.astext().strip())
    ids = [f' id="{name}"' for name in node["ids"][:2]] + ["", ""]
    translator.body.append(f'<div class="math"{ids[0]}>')
    # The formula scrolls in a box of its own; the number and the button stay where they are.
    translator.body.append(f'<div class="formula scrolls" data-label="Equation"{ids[1]}>')
    translator.body.append(_render(translator, node, display=True) + "</div>")
    if node["number"]:
        translator.body.append(f'<span class="eqno">({node["number"]})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append(
        f'<button class="copy copy-tex" type="button" data-copy="{tex}" title="Copy the TeX source" hidden>TeX</button>'
    )
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_config_value("katex_macros", {}, "env")
    app.add_domain(EquationDomain, override=True)
    app.add_html_math_renderer("katex", inline_renderers=(visit_inline, None), block_renderers=(visit_block, None))
    app.add_css_file("katex/katex.min.css", priority=300)
    app.add_post_transform(EquationAnchors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
