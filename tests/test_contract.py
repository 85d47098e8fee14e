"""Every case keeps the same promises."""

import inspect
import math

import numpy as np
import pytest
from numba import config

from dlref._arrays import backward_of
from tests.bounds import Normwise
from tests.cases import public_name, table
from tests.oracles import autograd, flatten, version

CASES = table("CASES")
DTYPES = ("float32", "float64")
GRADCHECK = 1e-7  # a central difference with step 1e-5 in float64 has about ten digits for functions of size one

cases = pytest.mark.parametrize("case", CASES, ids=str)
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def cast(value, dtype):
    """Return the same structure with every float array, and no other, in this dtype."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return value.astype(dtype)
    if isinstance(value, dict):
        return {k: cast(v, dtype) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(cast(v, dtype) for v in value))
    if isinstance(value, (tuple, list)):
        return type(value)(cast(v, dtype) for v in value)
    return value


def drawn(case, rng, dtype):
    """Return the positional and the keyword arguments of a case in this dtype."""
    return cast(tuple(case.args(rng)), dtype), cast(dict(case.kwargs), dtype)


def ranges_of(case):
    """Return the ranges of a case by their names; kernels that run as plain Python see the small arguments alone."""
    return {"": lambda rng, dtype: case.args(rng)} | ({} if config.DISABLE_JIT else dict(case.sweep))


def judge(bound, got, want, args, scale=1.0):
    """Judge every array of a result; return the worst, by its share of its bound."""
    got, want = flatten(got), [want] if hasattr(want, "high") else flatten(want)
    assert len(got) == len(want), f"{len(got)} results, the oracle has {len(want)}"
    judged = []
    for g, w in zip(got, want, strict=True):
        if g is None and w is None:
            continue
        if isinstance(g, int):  # a counter in a state
            assert g == w, f"counted {g}, the oracle {w}"
            continue
        if w is None:
            w = np.zeros(np.shape(g))
        shape = np.shape(w.high if hasattr(w, "high") else w)
        assert np.shape(g) == shape, f"shape {np.shape(g)}, the oracle has {shape}"
        judged.append(bound.judge(np.asarray(g), w, args, scale))
    return max(judged, key=lambda j: j.error / j.bound if j.bound else math.inf * (j.error > 0) if j.error else 0)


@cases
@dtypes
def test_agrees_with_its_oracle(case, dtype, rng, publish):
    worst, count, ranges = None, 0, []
    with np.errstate(all="ignore"):
        for words, make in ranges_of(case).items():
            args, kwargs = cast(tuple(make(rng, np.dtype(dtype).type)), dtype), cast(dict(case.kwargs), dtype)
            wide = cast(args, np.float64)
            got = case.function(*args, **kwargs)
            judged = judge(case.bound, got, case.want(*wide, **cast(kwargs, np.float64)), wide)
            assert judged.error <= judged.bound, f"{words or 'small arguments'}: {judged}"
            count += sum(np.size(g) for g in flatten(got))
            ranges.append(words or _shapes(args))
            if worst is None or judged.error * worst.bound > worst.error * judged.bound:
                worst = judged
    publish("ledger", _row(case, "forward", dtype, "; ".join(ranges), count, case.bound.measure, worst))


@cases
@dtypes
def test_backward_agrees_with_autograd(case, dtype, rng, publish):
    if case.backward is None:
        assert not hasattr(inspect.getmodule(case.function), case.function.__name__ + "_backward") or any(
            other.function is case.function and other.backward for other in CASES
        ), "a backward pass that no oracle judges"
        return
    worst, count, ranges = None, 0, []
    bound = case.gradient_bound or Normwise(*_length_and_condition(case.bound))
    with np.errstate(all="ignore"):
        for words, make in ranges_of(case).items():
            args, kwargs = cast(tuple(make(rng, np.dtype(dtype).type)), dtype), cast(dict(case.kwargs), dtype)
            wide = cast(args, np.float64)
            dy = _cotangent(case.function(*args, **kwargs), rng)
            want = autograd(case.backward, wide, cast(dy, np.float64), cast(kwargs, np.float64))
            got = backward_of(case.function)(dy, *args, **kwargs)
            got = list(got) if isinstance(got, tuple) else [got]
            judged = judge(bound, got, want[: len(got)], wide, scale=2.0)
            assert judged.error <= judged.bound, f"{words or 'small arguments'}: {judged}"
            count += sum(np.size(g) for g in got)
            ranges.append(words or _shapes(args))
            if worst is None or judged.error * worst.bound > worst.error * judged.bound:
                worst = judged
    args, kwargs = drawn(case, rng, "float64")
    check = finite_differences(case, args, kwargs, rng) if case.smooth else None
    assert check is None or check <= GRADCHECK, f"finite differences: {check}"
    row = _row(case, "backward", dtype, "; ".join(ranges), count, bound.measure, worst)
    publish("ledger", row | {"oracle": f"autograd of PyTorch {version('torch')}", "gradcheck": check})


def finite_differences(case, args, kwargs, rng, step=1e-5):
    """Compare one directional derivative with the pulled-back cotangent; return the relative difference."""
    backward = backward_of(case.function)
    dy = _cotangent(case.function(*args, **kwargs), rng)
    gradients = backward(dy, *args, **kwargs)
    gradients = list(gradients) if isinstance(gradients, tuple) else [gradients]
    floats = [i for i, g in enumerate(gradients) if g is not None]
    directions = {i: rng.normal(size=np.shape(args[i])) for i in floats}

    def along(t):
        moved = [a + t * directions[i] if i in directions else a for i, a in enumerate(args)]
        outputs = flatten(case.function(*moved, **kwargs))
        return sum(np.vdot(g, y) for g, y in zip(flatten(dy), outputs, strict=True) if y is not None)

    measured = (along(step) - along(-step)) / (2 * step)
    derived = sum(np.vdot(gradients[i], directions[i]) for i in floats)
    size = sum(np.linalg.norm(gradients[i]) * np.linalg.norm(directions[i]) for i in floats)
    return float(abs(measured - derived) / max(size, 1e-300))


@cases
@dtypes
def test_keeps_the_dtype_and_leaves_its_arguments_alone(case, dtype, rng):
    args, kwargs = drawn(case, rng, dtype)
    before = [np.copy(a) for a in flatten(args) if isinstance(a, np.ndarray)]
    for result in flatten(case.function(*args, **kwargs)):
        if isinstance(result, np.ndarray) and result.dtype.kind == "f":
            assert result.dtype == dtype
    after = [a for a in flatten(args) if isinstance(a, np.ndarray)]
    assert all(b.tobytes() == a.tobytes() for b, a in zip(before, after, strict=True)), "an argument was modified"
    if case.backward is not None:
        gradients = backward_of(case.function)(_cotangent(case.function(*args, **kwargs), rng), *args, **kwargs)
        for g in flatten(gradients):
            assert g is None or g.dtype == dtype
        assert all(b.tobytes() == a.tobytes() for b, a in zip(before, after, strict=True)), "backward wrote into one"


LAYOUTS = {
    "list": lambda a: a.tolist(),
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    "fortran": np.asfortranarray,
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
}


@cases
@pytest.mark.parametrize("layout", LAYOUTS)
def test_takes_any_layout(case, layout, rng):
    if not case.layouts:
        return
    args, kwargs = drawn(case, rng, "float64")
    want = flatten(case.function(*args, **kwargs))
    other = [LAYOUTS[layout](a) if isinstance(a, np.ndarray) else a for a in args]
    for g, w in zip(flatten(case.function(*other, **kwargs)), want, strict=True):
        np.testing.assert_array_equal(g, w)


@cases
def test_refuses_what_is_not_real(case, rng):
    args, kwargs = drawn(case, rng, "float64")
    names = list(inspect.signature(case.function).parameters)
    for i, value in enumerate(args):
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            for wrong in (value.astype(complex), value > 0, np.full(value.shape, "one")):
                changed = [wrong if j == i else a for j, a in enumerate(args)]
                with pytest.raises(TypeError, match=names[i]):
                    case.function(*changed, **kwargs)


@pytest.mark.parametrize(
    ("case", "refused"),
    [(case, refused) for case in CASES for refused in case.refuses],
    ids=lambda value: str(value) if not isinstance(value, tuple) else value[3][:40],
)
def test_refuses_by_name(case, refused):
    args, kwargs, exception, words = refused
    with pytest.raises(exception, match=words) as caught:
        case.function(*args, **kwargs)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200, "one line that a person can read"


def longer(value):
    """Yield copies of a structure in which one array after another has one more entry along its last axis."""
    if isinstance(value, tuple):
        for i, item in enumerate(value):
            for changed in longer(item):
                entries = (*value[:i], changed, *value[i + 1 :])
                yield type(value)(*entries) if hasattr(value, "_fields") else entries
    elif isinstance(value, np.ndarray):
        yield np.ones((*value.shape[:-1], value.shape[-1] + 1) if value.ndim else 1, value.dtype)


@pytest.mark.parametrize("case", [case for case in CASES if case.backward], ids=str)
def test_backward_refuses_what_does_not_fit(case, rng):
    """A kernel trusts its arguments: a cotangent of another shape, or what the function itself refuses, stays out."""
    args, kwargs = drawn(case, rng, "float64")
    backward = backward_of(case.function)
    name = next(iter(inspect.signature(backward).parameters))
    with np.errstate(all="ignore"):
        dy = _cotangent(case.function(*args, **kwargs), rng)
        for wrong in longer(dy):
            with pytest.raises(ValueError, match=f"^{name}[.:]"):
                backward(wrong, *args, **kwargs)
        if isinstance(dy, np.ndarray):
            with pytest.raises(TypeError, match=f"^{name}:"):
                backward(dy.astype(complex), *args, **kwargs)
        for wrong in longer(args):
            try:
                case.function(*wrong, **kwargs)
            except ValueError:
                with pytest.raises(ValueError, match=":"):
                    backward(dy, *wrong, **kwargs)


@pytest.mark.parametrize("case", [case for case in CASES if case.backward], ids=str)
def test_backward_takes_the_same_call(case):
    """The same names with the same defaults after the cotangent, and perhaps the result as y."""
    taken = list(inspect.signature(backward_of(case.function)).parameters.values())[1:]
    same = inspect.signature(case.function).parameters
    assert {p.name for p in taken} - set(same) <= {"y"}
    assert [(p.name, p.kind, p.default) for p in taken if p.name in same] == [
        (p.name, p.kind, p.default) for p in same.values()
    ]


@pytest.mark.parametrize("case", [case for case in CASES if case.function.__name__.endswith("_definition")], ids=str)
def test_a_definition_takes_the_same_call(case):
    module = inspect.getmodule(case.function)
    fast = getattr(module, case.function.__name__.removesuffix("_definition"))
    same = [(p.name, p.kind, p.default) for p in inspect.signature(fast).parameters.values()]
    assert [(p.name, p.kind, p.default) for p in inspect.signature(case.function).parameters.values()] == same


@pytest.mark.parametrize("proof", table("PROOFS"), ids=str)
def test_proof(proof, publish):
    for dtype in proof.dtypes:
        error, count = proof.run(np.dtype(dtype).type)
        bound = proof.bound if isinstance(proof.bound, (int, float)) else proof.bound[dtype]
        assert error <= bound, f"{dtype}: {error} > {bound}"
        for function in proof.functions:
            row = {"function": public_name(function), "direction": proof.direction, "dtype": dtype}
            row |= {"oracle": proof.oracle, "label": str(proof), "range": proof.range, "count": int(count)}
            row |= {"measure": proof.measure, "error": float(error), "bound": float(bound), "gradcheck": None}
            publish("ledger", row)


@pytest.mark.parametrize(("number", "edge"), list(enumerate(table("EDGES"))), ids=lambda v: str(v))
def test_edge(number, edge, publish):
    for dtype in DTYPES:
        args, kwargs = cast(_arrays(edge.args), dtype), cast(_arrays(dict(edge.kwargs)), dtype)
        if isinstance(edge.gives, type) and issubclass(edge.gives, Exception):
            with pytest.raises(edge.gives):
                edge.function(*args, **kwargs)
            continue
        with np.errstate(all="ignore"):
            got = flatten(edge.function(*args, **kwargs))
        gives = edge.gives if isinstance(edge.gives, tuple) else (edge.gives,)
        for g, w in zip(got, gives, strict=True):
            w = np.asarray(w, np.float64)
            eps = np.finfo(dtype).eps
            np.testing.assert_allclose(np.asarray(g, np.float64), w, rtol=4 * eps, atol=0, err_msg=edge.why)
            np.testing.assert_array_equal(np.signbit(g)[~np.isnan(w)], np.signbit(w)[~np.isnan(w)], edge.why)
    output = edge.gives.__name__ if isinstance(edge.gives, type) else _words(edge.gives)
    names = ", ".join(_words(a) for a in edge.args)
    row = {"function": public_name(edge.function), "n": number, "input": edge.input or names}
    publish("edges", row | {"output": edge.output or output, "why": edge.why})


@pytest.mark.parametrize("convention", table("CONVENTIONS"), ids=str)
def test_convention(convention, publish):
    rows = []
    for row in convention.rows:
        if row.compute is not None:
            with np.errstate(all="ignore"):
                got = row.format.format(row.compute())
            assert got == row.shows, f"{row.who}: {got}, the page says {row.shows}"
        else:
            assert row.source, f"{row.who}: neither computed nor cited"
        who = f"{row.who} {version(row.package)}" if row.package else row.who
        source = row.source or "computed"
        rows.append({"who": who, "rule": row.rule, "result": row.shows, "source": source})
    assert len({row["result"] for row in rows}) > 1, "the input does not tell them apart"
    shown = {"term": convention.term, "id": convention.id, "title": convention.title, "input": convention.input}
    publish("conventions", shown | {"rows": rows})


def _row(case, direction, dtype, words, count, measure, judged):
    row = {"function": case.name, "direction": direction, "dtype": dtype, "oracle": case.oracle}
    row |= {"label": case.label, "range": words, "count": count, "measure": measure}
    return row | {"error": judged.error, "bound": judged.bound, "gradcheck": None}


def _length_and_condition(bound):
    return (bound.length, bound.condition) if isinstance(bound, Normwise) else (None, 1.0)


def _cotangent(result, rng):
    if isinstance(result, tuple):
        return type(result)(*(_cotangent(r, rng) for r in result))
    return None if result is None else rng.normal(size=np.shape(result)).astype(result.dtype)


def _shapes(args):
    shapes = [str(np.shape(a)).replace(",)", ")") for a in args if isinstance(a, np.ndarray)]
    return "normal draws of shapes " + ", ".join(shapes)


def _arrays(value):
    if isinstance(value, dict):
        return {k: _arrays(v) if isinstance(v, list) else v for k, v in value.items()}
    return tuple(_arrays_of(v) for v in value)


def _arrays_of(value):
    if isinstance(value, float):
        return np.asarray(value)
    if isinstance(value, list):
        array = np.asarray(value)
        return array if array.dtype.kind in "fiub" else value
    return value


def _words(value):
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, np.ndarray):
        return _words(value.tolist())
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_words(v) for v in value) + "]"
    return str(value)
