"""What the pages say, gathered while they are read: one `Facts` per page, kept in Sphinx's environment.

Pages are read in several processes at once; Sphinx calls `merge` to bring the parts together and `purge` before a page
is read again. Also here, because all pieces need them: where the project's files are, and JSON read once.
"""

import functools
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from .sources import Package
from .terms_file import read_terms

logger = logging.getLogger(__name__)

VERSION = 1  # of Facts; a change makes Sphinx read every page again


@dataclass
class Facts:
    """What one page of a term says."""

    directives: list = field(default_factory=list)  # names of the apparatus' directives on the page
    definitions: list = field(default_factory=list)  # {"id", "text", "line"}
    equations: list = field(default_factory=list)  # {"id", "tex", "line"}
    cited: list = field(default_factory=list)  # BibTeX keys, in order
    links: set = field(default_factory=set)  # slugs that the page refers to
    missing: set = field(default_factory=set)  # files that the page would show but that are not there
    misstated: int = 0
    snippets: dict = field(default_factory=dict)  # file name -> text
    fingerprint: str = ""  # of what the page took from terms.toml


def all_facts(env):
    """Return docname -> Facts."""
    if not hasattr(env, "dlref_facts"):
        env.dlref_facts = {}
    return env.dlref_facts


def facts_of(env, docname=None):
    """Return the facts of a page, by default of the one that is being read."""
    return all_facts(env).setdefault(docname or env.docname, Facts())


def slug_of(docname):
    """Return the slug of a term's page, or None: ``terms/relu`` is the page of relu."""
    folder, _, slug = docname.rpartition("/")
    return slug if folder == "terms" and slug != "index" else None


def root_of(env):
    """Return the project's root, which is where conf.py stands."""
    return Path(env.config.dlref_project)


@functools.lru_cache(maxsize=8)
def _package_at(root):
    return Package(root)


def package_of(env):
    return _package_at(root_of(env))


def terms_of(env):
    return read_terms(Path(env.srcdir) / "terms.toml")


def read_json(path):
    """Return the content of a JSON file, parsed once for each state of the file; None where there is no file."""
    try:
        return _read_json(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


@functools.lru_cache(maxsize=32)
def _read_json(path, _mtime):
    return json.loads(path.read_text(encoding="utf-8"))


def depend(env, path):
    """Let the page that is being read depend on a file, or on its appearing: Sphinx never believes in a missing one."""
    if path.exists():
        env.note_dependency(str(path))
    else:
        facts_of(env).missing.add(path)


def measured(env, name, note=True):
    """Return build/<name>.json, or None; the page that is being read is read again when the file has changed."""
    path = root_of(env) / "build" / f"{name}.json"
    if note:
        depend(env, path)
    return read_json(path)


class Piece(SphinxDirective):
    """A directive of the apparatus: it knows its page, its term and how to complain."""

    def run(self):
        self.facts.directives.append(self.name)
        return self.build()

    def build(self):
        raise NotImplementedError

    @property
    def facts(self):
        return facts_of(self.env)

    @property
    def slug(self):
        return slug_of(self.env.docname)

    @property
    def term(self):
        """Return this page's entry in terms.toml, or None: `term` complains about that, once for the page."""
        return terms_of(self.env).get(self.slug)

    @property
    def package(self):
        return package_of(self.env)

    def warn(self, message):
        logger.warning("%s: %s", self.name, message, location=self.get_location(), type="dlref")
        return []

    def inline(self, text):
        """Parse one line of text as the page's own markup."""
        nodes, messages = self.parse_inline(str(text))
        return [*nodes, *messages]

    def functions(self, names):
        """Return ``activations.relu`` for each name, which may be bare if it is one of this term's functions."""
        known = self.package.public()
        own = {f.rpartition(".")[2]: f for f in (self.term.functions if self.term else ())}
        found = []
        for name in names:
            full = own.get(name, name)
            if full in known:
                found.append(full)
            else:
                self.warn(
                    f"there is no public function {name}" + ("" if "." in name else " among this term's functions")
                )
        return found


def extension_digest():
    """Return the hash of the site's own extension: when it changes, every page is read again."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def look_again(app):
    """Read the package's source anew for this build."""
    _package_at.cache_clear()


def purge(app, env, docname):
    all_facts(env).pop(docname, None)


def merge(app, env, docnames, other):
    theirs = all_facts(other)
    all_facts(env).update({name: theirs[name] for name in docnames if name in theirs})


def setup(app):
    app.add_config_value("dlref_project", str(app.confdir), "", [str])
    app.add_config_value("dlref_extension", extension_digest(), "env", [str])
    # Where the tests cannot run (a hosting service, say) the pages say so instead of failing.
    app.add_config_value("dlref_unmeasured", os.environ.get("DLREF_UNMEASURED") == "1", "env", [bool])
    app.connect("builder-inited", look_again, priority=1)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    return {"env_version": VERSION, "parallel_read_safe": True, "parallel_write_safe": True}
