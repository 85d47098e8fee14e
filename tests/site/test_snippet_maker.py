"""Standalone snippets are cut out of the live source: what is replaced, what is kept, what is refused."""

import inspect
import sys
import warnings

import numpy as np
import pytest
from dlref_site import snippets
from dlref_site.snippets import SnippetError, global_names, kernels_of, make_snippet
from dlref_site.sources import Package

import dlref
from dlref import _arrays, _math

ROOT = snippets.Path(__file__).parents[2]

TOPIC = '''
"""A toy."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import number, public, real
from dlref._compile import inline, kernel, prange
from dlref._math import exp as power
from dlref.layers.helpers import halved

__all__ = ["Pair", "grow", "grow_backward"]

# Where growth stops.
_LIMIT = math.inf


class Pair(NamedTuple):
    """Two arrays.

    More words.
    """

    first: NDArray  # of the two
    second: NDArray


@public
def grow(
    x: ArrayLike,
    /,
    rate: float = 1.0,
    *,
    steps: int | None = None,
) -> Pair:
    r"""Return :math:`e^{\\alpha x}` and its half.

    Parameters
    ----------
    x : array_like
        Anything; a "quoted" word and ``# no comment``.
    """
    x = real("x", x)
    out = np.empty_like(x)  # filled below
    _grow(x.reshape(-1), number("rate", rate), out.reshape(-1))
    return Pair(out, halved(out))


# The formula of the page.
@kernel(sums=True)
def _grow(x, rate, out):
    for i in prange(x.size):
        # at most the limit
        out[i] = _formula(x[i] * rate)


@inline
def _formula(z):
    return min(power(z), _LIMIT)


@public
def grow_backward(dy, x, /):
    """Return the gradient."""
    return np.asarray(dy) / np.asarray(x)
'''

HELPERS = '''
"""Help."""

from dlref._compile import kernel

__all__ = ["halved"]


def halved(x: float, ε: int = 2) -> float:
    """Halve."""
    out = x.copy()
    _halve(x, ε, out)
    return out


@kernel
def _halve(x, ε, out):
    for i in range(x.size):
        out[i] = x[i] / ε
'''


@pytest.fixture
def package(tmp_path):
    files = {
        "pyproject.toml": '[project]\nname = "dlref"\nversion = "9.8.7"\n',
        "src/dlref/growth/__init__.py": "",
        "src/dlref/growth/toy.py": TOPIC,
        "src/dlref/layers/__init__.py": "",
        "src/dlref/layers/helpers.py": HELPERS,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Package(tmp_path)


def run(text, monkeypatch, numba):
    """Execute a snippet, with Numba or as if there were none; return its names."""
    if not numba:
        monkeypatch.setitem(sys.modules, "numba", None)
    names = {"__name__": "snippet"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(text, "snippet.py", "exec"), names)
    return names


CHECK = "assert grow([0.0]).second.tolist() == [0.5]"


def test_what_is_replaced_and_what_is_kept(package):
    text = make_snippet(["growth.grow"], CHECK, package, "Growth", "terms/growth.html")
    lines = text.splitlines()
    assert lines[0] == "# Growth from dlref 9.8.7, BSD-3-Clause, terms/growth.html"
    assert lines[-1] == CHECK
    assert "def grow(x, /, rate=1.0, *, steps=None):" in lines
    assert '    r"""Return `e^{\\alpha x}` and its half."""' in lines
    assert "power = np.exp" in lines
    assert "def halved(x, ε=2):" in lines
    for kept in (
        "# Where growth stops.",
        "# of the two",
        "# filled below",
        "# The formula of the page.",
        "# at most the limit",
        "@njit\ndef _formula(z):",
        '@njit(error_model="numpy")\ndef _halve(x, ε, out):',
        "from numpy.typing import NDArray",
    ):
        assert kept in text
    for gone in ("dlref._", "@public", "@kernel", "@inline", "ArrayLike", "Parameters", "More words", "grow_backward"):
        assert gone not in text


def test_each_definition_stands_once_and_before_its_use(package):
    text = make_snippet(["growth.grow", "growth.grow_backward"], CHECK, package)
    order = ["_LIMIT = ", "def _formula", "def _grow", "def _halve", "def halved", "def grow(", "def grow_backward"]
    assert [text.count(part) for part in order] == [1] * len(order)
    assert text.index("def _formula") < text.index("def _grow(") < text.index("def grow(")
    assert text.index("def _halve") < text.index("def halved") < text.index("def grow(")


@pytest.mark.parametrize("numba", [True, False], ids=["numba", "numpy"])
def test_runs_alone(package, numba, monkeypatch):
    text = make_snippet(["growth.grow"], CHECK, package)
    grow = run(text, monkeypatch, numba)["grow"]
    assert grow(np.zeros(2, np.float32)).first.dtype == np.float32


@pytest.mark.parametrize("numba", [True, False], ids=["numba", "numpy"])
def test_the_real_relu_runs_alone(numba, monkeypatch):
    check = "assert relu([-1.0, 2.0]).tolist() == [0.0, 2.0]"
    text = make_snippet(["activations.relu", "activations.relu_backward"], check, Package(ROOT))
    names = run(text, monkeypatch, numba)
    assert names["relu_backward"]([1.0, 1.0], [0.0, 2.0]).tolist() == [0.0, 1.0]
    assert len(text.splitlines()) <= 80


def test_kernels_shown_are_the_source_itself(package):
    shown = dict(kernels_of(package, "growth.grow"))
    assert list(shown) == ["_grow", "_formula"]  # what another public function runs is shown on its page
    for text in shown.values():
        assert text.rstrip() in TOPIC + HELPERS
    assert shown["_grow"].startswith("# The formula of the page.\n@kernel(sums=True)\n")


def test_a_function_without_kernel_is_shown_itself(package):
    ((name, text),) = kernels_of(package, "growth.grow_backward")
    assert name == "grow_backward"
    assert text.startswith("def grow_backward(dy, x, /):")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("import numpy as np\n", "import scipy as np\n", "imports scipy"),
        ("min(power(z), _LIMIT)", "min(power(z), _BOUND)", "does not say where _BOUND comes from"),
        ("from dlref._math import exp as power", "from dlref._math import wobble as power", "_math.wobble"),
        ("from dlref.layers.helpers import halved", "from dlref.layers.other import halved", "cannot follow halved"),
        ("min(power(z), _LIMIT)", "_halve(z)", "does not say where _halve"),
    ],
)
def test_what_stands_in_the_way_is_named(package, old, new, words):
    path = package.folder / "growth" / "toy.py"
    path.write_text(TOPIC.replace(old, new), encoding="utf-8")
    with pytest.raises(SnippetError, match=words):
        make_snippet(["growth.grow"], CHECK, package)


def test_two_things_of_one_name_are_refused(package):
    path = package.folder / "growth" / "toy.py"
    text = TOPIC.replace("_LIMIT = math.inf", "_LIMIT = math.inf\n\n\ndef _halve(z):\n    return z / 2\n")
    path.write_text(text.replace("min(power(z), _LIMIT)", "_halve(z)"), encoding="utf-8")
    with pytest.raises(SnippetError, match=r"two different things called _halve: in dlref\.\S+ and in dlref\.\S+"):
        make_snippet(["growth.grow"], CHECK, package)


@pytest.mark.parametrize("check", ["assert shrink(1)", "assert torch.relu"])
def test_a_check_uses_only_what_is_there(package, check):
    with pytest.raises(SnippetError, match="the check uses"):
        make_snippet(["growth.grow"], check, package)


def test_an_unknown_function_is_refused(package):
    with pytest.raises(SnippetError, match=r"no public function growth\.shrink"):
        make_snippet(["growth.shrink"], CHECK, package)


def test_names_from_outside():
    text = "import a\n@b\ndef f(x=c):\n    y = x + d\n    def g():\n        return y + e\n    return [h for h in g()]\n"
    assert global_names(text) == {"b", "c", "d", "e"}


# --- stand-ins keep up with what they stand for ----------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(snippets.DOOR))
def test_stand_ins_take_what_the_door_takes(name):
    names = {"np": np}
    for text in snippets.DOOR.values():
        exec(text, names)
    wanted, got = inspect.signature(getattr(_arrays, name)), inspect.signature(names[name])
    if name != "reals":
        assert list(got.parameters) == list(wanted.parameters)
        assert [p.kind for p in got.parameters.values()] == [p.kind for p in wanted.parameters.values()]


SINGLE, DOUBLE, WHOLE = np.ones((2, 3), np.float32), np.ones((2, 3)).T, np.arange(6).reshape(2, 3)
CALLS = [
    ("real", ("x", SINGLE)),
    ("real", ("x", DOUBLE)),
    ("real", ("x", WHOLE)),
    ("real", ("x", 3)),
    ("real", ("x", [[1, 2]], 2)),
    ("reals", ("x", SINGLE, "w", SINGLE)),
    ("reals", ("x", SINGLE, "w", DOUBLE, "b", None)),
    ("reals", ("x", SINGLE, "w", [1, 2])),
    ("shaped", ("x", SINGLE, (2, None))),
    ("same_shape", ("x", SINGLE, "y", SINGLE)),
    ("index", ("i", [[0, 2], [1, 1]], 3)),
    ("index", ("i", [0, -100], 3, (2,))),
    ("mask", ("m", [True, False])),
    ("mask", ("m", np.array([True, False]), (2,))),
    ("number", ("p", 1, 0, 1)),
    ("integer", ("n", np.int64(3), 0)),
    ("pair", ("stride", 2)),
    ("pair", ("stride", (2, 3))),
    ("option", ("reduction", "mean", ("mean", "sum"))),
    ("axis_of", ("x", SINGLE, -1)),
]


@pytest.mark.parametrize(("name", "args"), CALLS)
def test_stand_ins_return_what_the_door_returns(name, args):
    options = {"ignore": -100} if name == "index" else {}
    names = {"np": np}
    for text in snippets.DOOR.values():
        exec(text, names)
    got, want = names[name](*args, **options), getattr(_arrays, name)(*args, **options)
    if name == "reals":
        assert [a is None or (a.dtype, a.shape, a.flags.c_contiguous) for a in got] == [
            a is None or (a.dtype, a.shape, a.flags.c_contiguous) for a in want
        ]
    elif isinstance(want, np.ndarray):
        assert (got.dtype, got.shape, got.flags.c_contiguous) == (want.dtype, want.shape, want.flags.c_contiguous)
        np.testing.assert_array_equal(got, want)
    else:
        assert got == want
        assert type(got) is type(want)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("shaped", ("x", SINGLE, (3, None))),
        ("same_shape", ("x", SINGLE, "y", DOUBLE)),
        ("index", ("i", [0, 3], 3)),
        ("index", ("i", [-1], 3)),
        ("mask", ("m", [True], (2,))),
        ("number", ("p", 2, 0, 1)),
        ("number", ("p", float("nan"), 0, 1)),
        ("integer", ("n", -1, 0)),
        ("option", ("reduction", "max", ("mean", "sum"))),
    ],
)
def test_stand_ins_refuse_what_would_harm(name, args):
    names = {"np": np}
    for text in snippets.DOOR.values():
        exec(text, names)
    with pytest.raises(AssertionError):
        names[name](*args)


@pytest.mark.parametrize("name", _math.__all__)
def test_every_elementary_function_has_a_stand_in(name):
    assert snippets.math_standin(name, name)


def test_the_version_is_that_of_the_package():
    assert Package(ROOT).version == dlref.__version__
