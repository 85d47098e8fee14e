"""What the package's source says, read without importing it: families, topic modules, their public names and text.

Plain Python. Everything here takes the project's root, so that tests can point it at a package of their own.
"""

import ast
import functools
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Module:
    """One source file: its text, what it defines at its top level and what it imports."""

    name: str
    path: Path
    text: str
    tree: ast.Module
    definitions: dict = field(default_factory=dict)  # name -> node of the statement that defines it
    imports: dict = field(default_factory=dict)  # local name -> (module, name in it, or None for `import module`)

    @functools.cached_property
    def lines(self):
        return self.text.splitlines()

    @functools.cached_property
    def public(self):
        """Return the names in ``__all__``, if it is a literal."""
        node = self.definitions.get("__all__")
        if isinstance(node, ast.Assign) and isinstance(node.value, (ast.List, ast.Tuple)):
            return ast.literal_eval(node.value)
        return []

    def kind(self, name):
        """Return what a public name is, as autodoc calls it: function, class or data."""
        node = self.definitions.get(name)
        return "function" if isinstance(node, FUNCTIONS) else "class" if isinstance(node, ast.ClassDef) else "data"

    def decorators(self, name):
        """Return the bare names of a function's decorators: ``@kernel(sums=True)`` counts as ``kernel``."""
        return [decorator_name(d) for d in getattr(self.definitions.get(name), "decorator_list", [])]


def decorator_name(node):
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def read_module(name, path):
    """Return the module at ``path``, read again only after its file has changed."""
    return _read_module(name, path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _read_module(name, path, _mtime):
    text = path.read_text(encoding="utf-8")
    module = Module(name, path, text, ast.parse(text, filename=str(path)))
    for node in module.tree.body:
        _note(module, node)
    return module


def _note(module, node):
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        module.definitions[node.name] = node
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for part in ast.walk(target):
                if isinstance(part, ast.Name):
                    module.definitions[part.id] = node
    elif isinstance(node, ast.Import):
        for alias in node.names:
            module.imports[alias.asname or alias.name.partition(".")[0]] = (alias.name, None)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            module.imports[alias.asname or alias.name] = (_absolute(module, node), alias.name)


def _absolute(module, node):
    """Return the full name of the module that a ``from`` import names, relative or not."""
    if not node.level:
        return node.module
    package = module.name.split(".")
    if module.path.name != "__init__.py":
        package = package[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


class Package:
    """The package ``dlref`` below ``root/src``, as it is when one asks first: one object for one build."""

    def __init__(self, root, name="dlref"):
        self.root = Path(root)
        self.name = name
        self.folder = self.root / "src" / name

    @functools.cached_property
    def version(self):
        return tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

    def module(self, name):
        """Return a module by its full name, or None."""
        path = self.root.joinpath("src", *name.split("."))
        for candidate in (path.with_name(path.name + ".py"), path / "__init__.py"):
            if candidate.is_file():
                return read_module(name, candidate)
        return None

    @functools.cache  # noqa: B019 - the object lives as long as a build
    def families(self):
        """Return family -> its topic modules; a family is a package, or one module that is its own topic."""
        found = {}
        for path in sorted(self.folder.iterdir()):
            if path.name.startswith(("_", ".")):
                continue
            if path.suffix == ".py":
                found[path.stem] = [self.module(f"{self.name}.{path.stem}")]
            elif (path / "__init__.py").is_file():
                topics = [p.stem for p in sorted(path.glob("*.py")) if not p.name.startswith("_")]
                found[path.name] = [self.module(f"{self.name}.{path.name}.{topic}") for topic in topics]
        return found

    @functools.cache  # noqa: B019
    def public(self):
        """Return ``"activations.relu"`` -> the module that defines it, for every public name of every family."""
        return {
            f"{family}.{name}": module
            for family, modules in self.families().items()
            for module in modules
            for name in module.public
        }

    @functools.cache  # noqa: B019
    def functions(self):
        """Return those of `public` that are functions; the others are types and constants."""
        return {
            name: module for name, module in self.public().items() if module.kind(name.rpartition(".")[2]) == "function"
        }

    def resolve(self, module_name, name):
        """Return (module, name) of where a name that was imported from the package is defined, or None."""
        module = self.module(module_name)
        for _ in range(8):  # a chain of re-exports
            if module is None:
                return None
            if name in module.definitions:
                return module, name
            if name in module.imports:
                source, original = module.imports[name]
                if original is None:
                    return None
                module, name = self.module(source), original
                continue
            home = self.public().get(module.name.removeprefix(self.name + ".") + "." + name)
            return (home, name) if home else None
        return None

    def reached_from(self, functions):
        """Return the modules that public functions use, directly or through others."""
        public = self.public()
        todo, found = [public[function] for function in functions], {}
        while todo:
            module = todo.pop()
            if module is None or module.name in found:
                continue
            found[module.name] = module
            for source, original in module.imports.values():
                if source.split(".")[0] == self.name:
                    resolved = original and self.resolve(source, original)
                    todo.append(resolved[0] if resolved else self.module(source))
        return list(found.values())
