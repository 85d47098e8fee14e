r"""Standalone snippets: a public function with its kernels and helpers, gathered from the live source.

    python docs/_ext/dlref_site/snippets.py activations.relu activations.relu_backward

prints the snippet. Nothing is written a second time: definitions are cut out of the package's files, comments
included. Only what ties them to the package is replaced: `@public` goes, `@kernel` and `@inline` become `@njit`, the
door's functions become stand-ins of one or two lines, `_math`'s functions become NumPy's.

Plain Python, without Sphinx.
"""

import argparse
import ast
import builtins
import io
import math
import re
import symtable
import sys
import tokenize
from pathlib import Path

import numpy as np

if __package__:
    from .sources import FUNCTIONS, Package, decorator_name
else:  # run as a script
    from sources import FUNCTIONS, Package, decorator_name

LONG = 100  # lines that are not blank; above, a snippet is no longer something to paste
WIDTH = 120  # a signature that fits is written on one line
COMPILED = ("kernel", "inline")

# The door, in the fewest words that keep its promises: float32 stays, everything else becomes float64, and what would
# make a kernel read outside an array is still refused.
DOOR = {
    "real": """\
def real(name, value, ndim=None):
    return np.asarray(value, np.float32 if getattr(value, "dtype", None) == np.float32 else np.float64, order="C")
""",
    "reals": """\
def reals(*pairs):
    values = [None if v is None else np.asarray(v, order="C") for v in pairs[1::2]]
    single = all(v is None or v.dtype == np.float32 for v in values)
    return [None if v is None else v.astype(np.float32 if single else np.float64, copy=False) for v in values]
""",
    "shaped": """\
def shaped(name, value, shape):
    fits = len(shape) == value.ndim and all(n in (None, m) for n, m in zip(shape, value.shape))
    assert fits, f"{name}: expected shape {shape}, got {value.shape}"
""",
    "same_shape": """\
def same_shape(name, value, other_name, other):
    assert value.shape == other.shape, f"{name}: expected the shape of {other_name}"
""",
    "index": """\
def index(name, value, upper, shape=None, *, ignore=None):
    value = np.asarray(value, np.int64, order="C")
    shaped(name, value, value.shape if shape is None else shape)
    inside = (0 <= value) & (value < upper) | (value == ignore)
    assert inside.all(), f"{name}: expected integers from 0 to {upper - 1}"
    return value
""",
    "record": """\
def record(name, value, kind):
    return kind._make(value)
""",
    "floating": """\
def floating(name, value):
    return np.dtype(value)
""",
    "generator": """\
def generator(name, value):
    return value
""",
    "not_negative": """\
def not_negative(name, value):
    assert not (value < 0).any(), f"{name}: expected numbers from 0"
""",
    "finite": """\
def finite(name, value):
    assert np.isfinite(value).all(), f"{name}: expected finite numbers"
""",
    "mask": """\
def mask(name, value, shape=None):
    value = np.asarray(value, np.bool_, order="C")
    shaped(name, value, value.shape if shape is None else shape)
    return value
""",
    "number": """\
def number(name, value, low=-np.inf, high=np.inf, *, open_low=False, open_high=False):
    assert low <= value <= high, f"{name}: expected a number from {low} to {high}"
    return float(value)
""",
    "integer": """\
def integer(name, value, low=None, high=None):
    assert (low is None or low <= value) and (high is None or value <= high), f"{name}: out of range"
    return int(value)
""",
    "pair": """\
def pair(name, value, low=0):
    return (value, value) if np.ndim(value) == 0 else tuple(value)
""",
    "sizes": """\
def sizes(name, value):
    return (int(value),) if np.ndim(value) == 0 else tuple(value)
""",
    "option": """\
def option(name, value, choices):
    assert value in choices, f"{name}: expected one of {choices}"
    return value
""",
    "axis_of": """\
def axis_of(name, value, axis):
    return range(value.ndim)[axis]
""",
}

DOOR["labels"] = DOOR["index"].replace("def index", "def labels")

# Functions of `_math` that neither NumPy nor math has under the same name.
MATH = {
    "normal_tail": """\
@njit
def normal_tail(x):
    return 0.5 * math.erfc(abs(x) * 0.7071067811865476)
""",
    "logistic": """\
@njit
def logistic(x):
    e = np.exp(-abs(x))
    return (1 if x >= 0 else e) / (1 + e)
""",
}


class SnippetError(ValueError):
    """A snippet cannot be made; the message says what is in the way."""


def make_snippet(names, check, package, title="", link=""):
    """Return the snippet of public functions (``["activations.relu"]``), ending in the lines of ``check``."""
    gathered = Gathered(package)
    for name in names:
        home = package.public().get(name)
        if home is None:
            raise SnippetError(f"there is no public function {name}")
        gathered.add(home, name.rpartition(".")[2])
    gathered.need(check, None)
    header = f"# {title + ' from ' if title else ''}dlref {package.version}, BSD-3-Clause{', ' + link if link else ''}"
    blocks = [header, *gathered.opening(), *gathered.pieces.values(), check.strip()]
    return "\n\n".join(block.strip("\n") for block in blocks if block.strip()) + "\n"


def kernels_of(package, name):
    """Return [(function name, its source)] of the live kernels that a public function runs.

    A function that has none is shown itself, with its docstring cut to one line.
    """
    module = package.public()[name]
    found = {}
    _find_kernels(package, module, name.rpartition(".")[2], found, set())
    if not found:
        function = name.rpartition(".")[2]
        return [(function, standalone(module, function, numba=False))]
    ordered = sorted(found.items(), key=lambda item: (item[0][0], item[1][0]))
    return [(kernel, source) for (_, kernel), (_, source) in ordered]


def _find_kernels(package, module, name, found, seen):
    """Collect kernels along the calls, through private helpers but not through other public functions."""
    if (module.name, name) in seen:
        return
    seen.add((module.name, name))
    if set(module.decorators(name)) & set(COMPILED):
        found[module.name, name] = (module.definitions[name].lineno, segment(module, name))
    for used in sorted(global_names(standalone(module, name))):
        target = _lookup(package, module, used)
        if target and target[1] not in target[0].public and not target[0].name.startswith(f"{package.name}._"):
            _find_kernels(package, *target, found, seen)


def _lookup(package, module, name):
    """Return (module, name) for a name that the package defines, or None."""
    if name in module.definitions:
        return module, name
    source, original = module.imports.get(name, ("", None))
    if original and source.split(".")[0] == package.name:
        return package.resolve(source, original)
    return None


class Gathered:
    """The definitions that a snippet needs, each after those that it uses."""

    def __init__(self, package):
        self.package = package
        self.pieces = {}  # name -> text
        self.homes = {}  # name -> module it comes from
        self.standins = {}  # name -> text of a door or _math function
        self.imports = set()  # (module, name or None, local name)
        self.compiles = False

    def add(self, module, name):
        """Add the definition of ``name`` in ``module`` and everything it uses."""
        if name in self.homes:
            if self.homes[name] != module.name:
                raise SnippetError(f"two different things called {name}: in {self.homes[name]} and in {module.name}")
            return
        self.homes[name] = module.name
        text = standalone(module, name)
        self.need(text, module)
        self.pieces[name] = text

    def need(self, text, module):
        """Add what ``text`` refers to, as seen from ``module`` (None: from the snippet itself)."""
        for name in sorted(global_names(text)):
            if name in {"njit", "prange"}:
                self.compiles = True
            elif module is None:
                self._from_snippet(name)
            elif name in DOOR and module.name == f"{self.package.name}._arrays":
                self._standin(name, DOOR[name])
            elif name in module.definitions:
                self.add(module, name)
            elif name in module.imports:
                self._imported(module, name)
            elif not hasattr(builtins, name):
                raise SnippetError(f"{module.name} does not say where {name} comes from")

    def _from_snippet(self, name):
        """Let the last lines use np and math; anything else must be there already."""
        if name == "np":
            self.imports.add(("numpy", None, "np"))
        elif name == "math":
            self.imports.add(("math", None, "math"))
        elif name not in self.homes and not hasattr(builtins, name):
            raise SnippetError(f"the check uses {name}, which the snippet does not define")

    def _imported(self, module, local):
        source, original = module.imports[local]
        top = source.split(".")[0]
        if top == self.package.name:
            self._from_package(module, local, source, original)
        elif top == "numpy" or top in sys.stdlib_module_names:
            self.imports.add((source, original, local))
        else:
            raise SnippetError(f"{module.name} imports {source}, which a snippet cannot")

    def _from_package(self, module, local, source, original):
        if source == f"{self.package.name}._compile":
            self.compiles = True
        elif source == f"{self.package.name}._math":
            self._standin(local, math_standin(original, local))
        elif source == f"{self.package.name}._arrays" and original in DOOR:
            self._standin(local, DOOR[original])
        else:
            found = original and self.package.resolve(source, original)
            if not found:
                raise SnippetError(f"{module.name}: cannot follow {local} into {source}; import the name itself")
            self.add(*found)
            if local != original:
                self.pieces[local] = f"{local} = {original}"

    def _standin(self, name, text):
        if name in self.standins:
            return
        for used in sorted(global_names(text)):
            if used in {"np", "math"}:
                self._from_snippet(used)
            elif used == "njit":
                self.compiles = True
            elif used in DOOR and used != name:
                self._standin(used, DOOR[used])
        self.standins[name] = text

    def opening(self):
        """Return the blocks before the definitions: imports, Numba or its fallback, stand-ins."""
        yield "\n".join(_import_lines(self.imports))
        if self.compiles:
            yield _numba_lines("\n".join([*self.pieces.values(), *self.standins.values()]))
        yield "\n".join(text for text in self.standins.values() if "\n" not in text)
        yield from (text for text in self.standins.values() if "\n" in text)


def _import_lines(imports):
    """Write the imports as one expects them: the standard library first, one line for each module."""
    whole, parts = {}, {}
    for module, name, local in sorted(imports, key=str):
        if name is None:
            whole[module] = f"import {module}" if local == module else f"import {module} as {local}"
        else:
            parts.setdefault(module, []).append(name if name == local else f"{name} as {local}")
    lines = list(whole.items())
    lines += [(module, f"from {module} import {', '.join(names)}") for module, names in parts.items()]
    lines.sort(key=lambda line: (line[0].partition(".")[0] == "numpy", line[1].startswith("from"), line[0]))
    return [line for _, line in lines]


def _numba_lines(text):
    names = global_names(text)
    wanted = [name for name in ("njit", "prange") if name in names]
    lines = ["try:", f"    from numba import {', '.join(wanted)}", "except ImportError:  # the same loops, slower"]
    if "njit" in wanted:
        lines += ["    def njit(function=None, **options):", "        return function or (lambda loop: loop)"]
    if "prange" in wanted:
        lines += ["    prange = range"]
    return "\n".join(lines)


def math_standin(name, local):
    """Return what stands for a function of `_math`: NumPy's or math's of the same name, or a few lines of ours."""
    if name in MATH:
        return MATH[name]
    for library, spelled in ((np, "np"), (math, "math")):
        if hasattr(library, name):
            return f"{local} = {spelled}.{name}"
    raise SnippetError(f"_math.{name} has no stand-in: add one to MATH in snippets.py")


def global_names(text):
    """Return the names that a piece of Python takes from outside of its functions."""
    return set(_referenced(symtable.symtable(text, "<snippet>", "exec"), True))


def _referenced(table, top):
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (symbol.is_global() or (top and not symbol.is_assigned())):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _referenced(child, False)


# --- cutting definitions out of a file -------------------------------------------------------------------------------


def segment(module, name):
    """Return the source of a top-level definition with its decorators and the comment that stands on top of it."""
    start, end = _extent(module, module.definitions[name])
    return "\n".join(module.lines[start - 1 : end]) + "\n"


def _extent(module, node):
    start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    while start > 1 and module.lines[start - 2].startswith("#"):
        start -= 1
    return start, node.end_lineno


def standalone(module, name, numba=True):
    """Return a definition as a snippet has it: no `@public`, `@njit` for ours, one line of docstring, no type hints."""
    node = module.definitions[name]
    text = segment(module, name)
    if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return text
    node = ast.parse(text).body[0]
    edits = [*_docstring(node, text)]
    if isinstance(node, FUNCTIONS):
        edits += [*_decorators(node, numba), *_hints(node, text)]
    text = _edited(text, edits)
    return _short_signature(text) if isinstance(node, FUNCTIONS) else text


def _decorators(node, numba):
    for decorator in node.decorator_list:
        name = decorator_name(decorator)
        if name == "public":
            # From the @ to the start of the next line.
            yield (decorator.lineno, decorator.col_offset - 1), (decorator.end_lineno + 1, 0), ""
        elif name in COMPILED and numba:
            start, end = _span(decorator)
            yield start, end, 'njit(error_model="numpy")' if _divides(node) else "njit"


def _divides(node):
    # Numba alone would raise ZeroDivisionError where the package, as NumPy, returns an infinity or NaN.
    return any(isinstance(part, (ast.Div, ast.FloorDiv, ast.Mod)) for part in ast.walk(node))


def _docstring(node, text):
    if ast.get_docstring(node) is None:
        return
    start, end = _span(node.body[0])
    first = ast.get_docstring(node).splitlines()[0]
    first = re.sub(r":[a-z:]+:(`[^`]*`)", r"\1", first)
    yield start, end, f'{"r" if chr(92) in first else ""}"""{first}"""'


def _hints(node, text):
    arguments = node.args
    for argument in [
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        *filter(None, [arguments.vararg, arguments.kwarg]),
    ]:
        if argument.annotation is not None:
            start = (argument.lineno, argument.col_offset + len(argument.arg.encode()))
            yield start, _span(argument.annotation)[1], ""
    for default in [*arguments.defaults, *filter(None, arguments.kw_defaults)]:
        yield from _tight_default(default, text)
    if node.returns is not None:
        arrow = _last_token(text, "->", _span(node.returns)[0])
        yield (arrow[0], arrow[1] - 1), _span(node.returns)[1], ""


def _tight_default(default, text):
    """Without its hint, ``x: int = 3`` is written ``x=3``."""
    line = text.splitlines()[default.lineno - 1].encode()
    before = line[: default.col_offset]
    if before.endswith(b" = "):
        yield (default.lineno, default.col_offset - 3), (default.lineno, default.col_offset), "="


def _last_token(text, string, before):
    """Return the position of the last token ``string`` that ends before a position."""
    found = None
    for token in _tokens(text):
        position = (token.start[0], len(token.line[: token.start[1]].encode()))
        if token.string == string and position < before:
            found = position
    return found


def _short_signature(text):
    """Write the signature on one line where it fits and has no comment."""
    node = ast.parse(text).body[0]
    lines = text.splitlines()
    first, last = node.lineno - 1, node.body[0].lineno - 1
    head = lines[first:last]
    if len(head) < 2 or any("#" in line for line in head):
        return text
    joined = " ".join(line.strip() for line in head)
    joined = joined.replace("( ", "(").replace(", )", ")").replace(" )", ")")
    if len(joined) > WIDTH:
        return text
    return "\n".join([*lines[:first], joined, *lines[last:]]) + "\n"


def _span(node):
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def _edited(text, edits):
    """Apply replacements, given by line and column in bytes as `ast` counts them."""
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    data = b"".join(lines)
    for (line, column), (end_line, end_column), new in sorted(edits, reverse=True):
        data = data[: starts[line - 1] + column] + new.encode() + data[starts[end_line - 1] + end_column :]
    return data.decode()


def _tokens(text):
    return tokenize.generate_tokens(io.StringIO(text).readline)


def main():
    parser = argparse.ArgumentParser(description="Print the standalone snippet of public functions.")
    parser.add_argument("functions", nargs="+", metavar="family.function")
    parser.add_argument("--check", default="", help="the last line of the snippet")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[3])
    arguments = parser.parse_args()
    try:
        print(make_snippet(arguments.functions, arguments.check, Package(arguments.root)), end="")
    except SnippetError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
