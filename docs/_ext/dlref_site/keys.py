"""What a page or a script depends on: the modules of dlref that define the names it uses, and what those use.

The answer comes from the sources alone. ``from dlref.activations import relu`` is the topic module whose ``__all__``
has ``relu``; ``dlref.activations.relu(...)`` and every alias of it likewise; a family passed on as a whole is all of
its modules. A general import graph sees only the family here, whose ``__init__`` gathers its topics at run time, so
this module follows the imports itself. What it cannot resolve is the whole package: run too often, never too seldom.
"""

import ast
import functools
import hashlib
import importlib.metadata
import platform
import re
import sys
from pathlib import Path

PACKAGE = "dlref"
ALWAYS = ("numpy", "numba", "llvmlite")  # every number of the package depends on them
DYNAMIC = {"import_module", "__import__"}  # whoever calls these may reach any module

MEASURED = re.compile(r"build/\w+\.json")  # written by the tests, read by a script
IPYTHON_LINE = re.compile(r"^(\s*)[%!].*$", re.M)


class Keys:
    """The modules, files and fingerprints behind a piece of Python, for one state of the sources."""

    def __init__(self, source_root):
        self.root = Path(source_root).resolve()
        self.files = {_module_name(self.root, path): path for path in sorted((self.root / PACKAGE).rglob("*.py"))}

    def key(self, code):
        """Return a fingerprint that changes when, and only when, something changes that ``code`` uses."""
        modules, others = self.uses(code)
        parts = [platform.python_version()]
        parts += [f"{name} {self._digest(name)}" for name in sorted(modules)]
        parts += [version for other in sorted(others) for version in versions(other)]
        parts += [f"{name} {_content(self.root.parent / name)}" for name in sorted(set(MEASURED.findall(code)))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def paths(self, code):
        """Return the files of the package that ``code`` depends on."""
        return [self.files[name] for name in sorted(self.uses(code)[0])]

    def paths_of(self, names):
        """Return the files behind dotted names such as ``activations.relu``."""
        modules = set().union(*(self._resolve(f"{PACKAGE}.{name}") for name in names))
        return [self.files[name] for name in sorted(self._closure(modules))]

    @functools.cache  # noqa: B019 - one object per build
    def uses(self, code):
        """Return the modules of the package and the other top-level packages that ``code`` depends on."""
        names = Names(ast.parse(IPYTHON_LINE.sub(r"\1pass", code)))
        if names.dynamic:
            return set(self.files), names.others | set(ALWAYS)
        modules = set().union(*(self._resolve(name) for name in names.dotted))
        return self._closure(modules), names.others | set(ALWAYS)

    def _closure(self, modules):
        todo, done = set(modules), set()
        while todo:
            module = todo.pop()
            done.add(module)
            todo |= self._imports(module) - done
            # Importing a module runs the __init__ of every package above it.
            parents = module.split(".")[:-1]
            todo |= {".".join(parents[: i + 1]) for i in range(len(parents))} - done
        return done

    @functools.cache  # noqa: B019
    def _imports(self, module):
        path = self.files[module]
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        names = Names(self._tree(module), package)
        return set().union(*(self._resolve(name) for name in names.dotted))

    def _resolve(self, dotted):
        """Return the modules that a dotted name stands for."""
        parts = dotted.split(".")
        if parts[0] != PACKAGE:
            return set()
        if parts[1:2] == ["__version__"]:
            return {PACKAGE}
        length = max(n for n in range(1, len(parts) + 1) if ".".join(parts[:n]) in self.files)
        module, rest = ".".join(parts[:length]), parts[length:]
        if self.files[module].name != "__init__.py":
            return {module}
        if not rest or rest == ["*"]:
            return {name for name in self.files if f"{name}.".startswith(f"{module}.")}
        if rest[0] in self._defined(module):
            return {module}
        topics = [name for name in self.files if name.rpartition(".")[0] == module]
        homes = {name for name in topics if rest[0] in self._exports(name)}
        return homes or set(self.files)

    @functools.cache  # noqa: B019
    def _exports(self, module):
        """Return the names in a module's ``__all__``, as far as it is a literal."""
        for node in self._tree(module).body:
            if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "__all__" for t in node.targets):
                try:
                    return set(ast.literal_eval(node.value))
                except ValueError:
                    return set()
        return set()

    @functools.cache  # noqa: B019
    def _defined(self, module):
        """Return the functions and classes that a module defines itself."""
        return {node.name for node in self._tree(module).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}

    @functools.cache  # noqa: B019
    def _tree(self, module):
        return ast.parse(self.files[module].read_text("utf8"))

    @functools.cache  # noqa: B019
    def _digest(self, module):
        return hashlib.sha256(self.files[module].read_bytes()).hexdigest()


class Names(ast.NodeVisitor):
    """The dotted names of the package that a piece of Python uses, and the other packages that it imports."""

    def __init__(self, tree, package=None):
        self.dotted, self.others, self.dynamic = set(), set(), False
        self._package = package  # for relative imports
        self._aliases = {}  # local name -> the dotted name it stands for
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._note_import(node)
            elif isinstance(node, ast.ImportFrom):
                self._note_import_from(node)
        self.visit(tree)

    def _note_import(self, node):
        for alias in node.names:
            top = alias.name.split(".")[0]
            if top != PACKAGE:
                self.others.add(top)
            elif alias.asname:
                self._aliases[alias.asname] = alias.name
            else:
                self._aliases[top] = top  # ``import dlref.layers`` binds ``dlref``

    def _note_import_from(self, node):
        source = node.module or ""
        if node.level:
            # Relative, which is only possible inside the package.
            above = (self._package or PACKAGE).split(".")
            base = above[: len(above) - node.level + 1]
            source = ".".join([*base, *filter(None, [source])])
        if source.split(".")[0] != PACKAGE:
            self.others.add(source.split(".")[0])
            return
        for alias in node.names:
            name = f"{source}.{alias.name}"
            if source == PACKAGE and alias.name != "*":
                # A family counts where it is used: ``activations.relu`` is one module of it.
                self._aliases[alias.asname or alias.name] = name
            else:
                self.dotted.add(name)

    def visit_Attribute(self, node):
        chain = []
        while isinstance(node, ast.Attribute):
            chain.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id in self._aliases:
            self.dotted.add(".".join([self._aliases[node.id], *reversed(chain)]))
            return
        self.dynamic |= not DYNAMIC.isdisjoint(chain)
        self.visit(node)

    def visit_Name(self, node):
        if node.id in self._aliases:
            self.dotted.add(self._aliases[node.id])
        self.dynamic |= node.id in DYNAMIC


@functools.cache
def versions(module):
    """Return the names and versions of the distributions that a top-level module comes from."""
    if module in sys.stdlib_module_names:
        return []
    try:
        return [f"{module}=={importlib.metadata.version(module)}"]
    except importlib.metadata.PackageNotFoundError:  # sklearn is scikit-learn
        return [f"{name}=={importlib.metadata.version(name)}" for name in sorted(_distributions().get(module, []))]


@functools.cache
def _distributions():
    return importlib.metadata.packages_distributions()  # takes a second


def _content(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "missing"


def _module_name(root, path):
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
