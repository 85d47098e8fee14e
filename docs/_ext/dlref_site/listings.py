"""Code on pages: live kernels with their standalone snippet, complete scripts, and links to functions."""

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import ReferenceRole

from .facts import Piece, package_of
from .markup import copy_button, listing, raw, to_root
from .snippets import LONG, SnippetError, kernels_of, make_snippet

logger = logging.getLogger(__name__)


class FunctionRole(ReferenceRole):
    """``{fn}`activations.relu```: a link to the function's full description."""

    def run(self):
        if self.target not in package_of(self.env).public():
            message = "there is no public function %s; write family.function"
            logger.warning(message, self.target, location=self.get_location(), type="dlref")
        text = self.title if self.has_explicit_title else self.target.rpartition(".")[2]
        label = nodes.literal("", text, classes=["fn"])
        if self.target not in package_of(self.env).public():
            return [label], []
        address = {"refdomain": "py", "reftype": "obj", "reftarget": f"dlref.{self.target}"}
        link = addnodes.pending_xref("", label, refexplicit=True, refwarn=True, refdoc=self.env.docname, **address)
        return [link], []


class Reference(Piece):
    """``{reference} relu relu_backward``: the kernels as they are, and the snippet that a reader can take away.

    ``:check:`` is the snippet's last line. ``:limit:`` allows more lines than usual, where less would not be the term.
    """

    required_arguments = 1
    optional_arguments = 100
    option_spec = {"check": str, "limit": directives.positive_int}  # noqa: RUF012 - docutils' own convention

    def build(self):
        check = self.options.get("check", "")
        if not check.startswith("assert "):
            return self.warn("the snippet needs a last line that checks it: write :check: assert ...")
        functions = self.functions(self.arguments)
        if len(functions) < len(self.arguments):
            return []
        name = self._file_name(functions)
        try:
            kernels = self._kernels(functions)
            text = make_snippet(functions, check, self.package, self._title(), self._link())
        except SnippetError as error:
            return self.warn(str(error))
        lines, limit = length(text), self.options.get("limit", LONG)
        if lines > limit:
            self.warn(f"the snippet has {lines} lines; above {limit} nobody pastes it (:limit: allows more)")
        self._note_sources(functions)
        self.facts.snippets[name] = text
        return [
            listing("\n\n".join(kernels), "python", "kernels"),
            *takeaway(self.env.docname, name, text, f"The whole snippet, {lines} lines", "Copy the standalone snippet"),
        ]

    def _kernels(self, functions):
        found = {}
        for function in functions:
            found.update(kernels_of(self.package, function))
        return [text.rstrip("\n") for text in found.values()]

    def _file_name(self, functions):
        """The first snippet of a page is called like the page; another one adds its first function."""
        taken = any(not name.endswith("_script.py") for name in self.facts.snippets)
        return f"{self.slug}-{functions[0].rpartition('.')[2]}.py" if taken else f"{self.slug}.py"

    def _title(self):
        return self.term.name if self.term else ""

    def _link(self):
        return f"{self.config.html_baseurl}{self.env.docname}.html"

    def _note_sources(self, functions):
        """Read the page again when the source has changed, helpers in other modules included."""
        for module in self.package.reached_from(functions):
            self.env.note_dependency(str(module.path))


def length(text):
    """Return the number of lines that are not blank."""
    return sum(1 for line in text.splitlines() if line.strip())


class Script(Piece):
    """``{script}``: a complete script that imports dlref, in the directive's body; the site's tests run it."""

    has_content = True

    def build(self):
        body = "\n".join(self.content).strip("\n") + "\n"
        try:
            compile(body, "script", "exec")
        except SyntaxError as error:
            return self.warn(f"line {error.lineno} of the script: {error.msg}")
        if "dlref" not in body:
            self.warn("the script does not import dlref")
        if "assert" not in body:
            self.warn("the script checks nothing: assert what it shows")
        name = f"{self.slug}_script.py"
        if name in self.facts.snippets:
            return self.warn("a page has one script")
        link = f"{self.config.html_baseurl}{self.env.docname}.html"
        title = self.term.name if self.term else self.slug
        text = f"# {title}: dlref {self.package.version}, BSD-3-Clause, {link}\n\n{body}"
        self.facts.snippets[name] = text
        code_id = name.removesuffix(".py").replace("_", "-")
        return [
            listing(text, "python", "script", ids=[code_id]),
            buttons(self.env.docname, name, code_id, "Copy the script"),
            nodes.paragraph("", "It imports dlref and needs nothing else of ours.", classes=["note-line"]),
        ]


def takeaway(docname, name, text, summary, label):
    """Return the buttons and, folded away, the whole text: without a script the reader opens it and copies by hand."""
    code_id = "snippet-" + name.removesuffix(".py").replace("_", "-")
    yield buttons(docname, name, code_id, label)
    yield raw(f'<details class="snippet"><summary>{summary}</summary>')
    yield listing(text, "python", ids=[code_id])
    yield raw("</details>")


def buttons(docname, name, code_id, label):
    address = f"{to_root(docname)}snippets/{name}"
    row = nodes.container("", copy_button(code_id, label), classes=["takeaway"])
    row += raw(f'<a class="download" href="{address}" download>Download {name}</a>')
    return row


def setup(app):
    app.add_role("fn", FunctionRole())
    app.add_directive("reference", Reference)
    app.add_directive("script", Script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
