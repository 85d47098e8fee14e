"""Clipping by value, by norm, of weights, and by unit-wise norms."""

import numpy as np
import torch

from dlref.optimizers import adaptive_gradient_clip, clip, clip_backward, clip_by_norm, clip_weights
from tests.bounds import ULP, Exact, Normwise
from tests.cases import Bench, Case, Convention, Edge, Row
from tests.oracles import from_torch
from tests.sweeps import elementwise

inf, nan = np.inf, np.nan


def cube(rng):
    return (rng.normal(size=(5, 3, 7)) * 2,)


def torch_clip(x, low=-inf, high=inf):
    return torch.clamp(x, low, high)


def numpy_clip(x, low=-inf, high=inf):
    return np.clip(x, low, high)


def onnx_clip(x, low=-inf, high=inf):
    import onnx
    from onnx.reference import ReferenceEvaluator

    node = onnx.helper.make_node("Clip", ["x", "low", "high"], ["y"])
    info = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None) for name in ("x", "low", "high", "y")
    ]
    imports = [onnx.helper.make_opsetid("", 13)]
    graph = onnx.helper.make_graph([node], "clip", info[:3], info[3:])
    model = onnx.helper.make_model(graph, opset_imports=imports)
    values = {"x": np.asarray(x), "low": np.asarray(low), "high": np.asarray(high)}
    return ReferenceEvaluator(model).run(None, values)[0]


def torch_grad_value(w, c):
    """torch.nn.utils.clip_grad_value_: the box of the Wasserstein critic, on a gradient."""
    leaf = torch.nn.Parameter(torch.zeros_like(w))
    leaf.grad = w.clone()
    torch.nn.utils.clip_grad_value_([leaf], c)
    return leaf.grad


def by_norm(g, max_norm):
    """The formula over numpy.linalg.norm, scaled so that its squares stay in the range."""
    scale = np.max(np.abs(g), initial=0.0) or 1.0
    norm = np.linalg.norm(g.ravel() / scale) * scale
    return g * min(1.0, max_norm / norm) if norm else g.copy()


def unit_wise(g, w, threshold=0.01, eps=1e-3):
    """The rule of Brock et al., one unit at a time."""
    if g.ndim < 2:
        return unit_wise(g.reshape(1, -1), w.reshape(1, -1), threshold, eps).reshape(g.shape)
    out = np.empty_like(g)
    for i, (row, weights) in enumerate(zip(g, w, strict=True)):
        norm, limit = np.linalg.norm(row.ravel()), max(np.linalg.norm(weights.ravel()), eps)
        out[i] = threshold * limit / norm * row if norm / limit > threshold else row
    return out


def units(rng):
    """Gradients and weights of four filters: two clipped, one below its threshold, one whose weights are zero."""
    g, w = rng.normal(size=(2, 4, 3, 5, 2))
    w[0] *= 100
    w[3] = 0
    g[0] /= 10
    return g, w


BOUNDS = {"low": -0.75, "high": 1.5}  # exact in both dtypes
refused_bounds = [
    (([1.0],), {"low": nan}, ValueError, r"low: expected a number in \[-inf, inf\], got nan"),
    (([1.0],), {"high": [1.0]}, TypeError, "high: expected a number, got list"),
]


def lengths(rng, dtype, n):
    return (rng.normal(size=n),)


def extremes(rng, dtype):
    """Entries whose squares overflow beside entries whose squares underflow."""
    top = float(np.finfo(dtype).max)
    return (rng.normal(size=1000) * np.where(rng.random(1000) < 0.5, top / 1e5, 1e4 / top),)


CASES = [
    Case(
        clip,
        cube,
        "torch.clamp",
        from_torch(torch_clip),
        kwargs=BOUNDS,
        sweep=elementwise(),
        bound=Exact(),
        gradient_bound=ULP(1),
        refuses=refused_bounds,
    ),
    Case(clip, cube, "numpy.clip", numpy_clip, kwargs=BOUNDS, sweep=elementwise(), bound=Exact()),
    Case(clip, cube, "onnx.reference Clip", onnx_clip, kwargs=BOUNDS, bound=Exact()),
    Case(clip, cube, "torch.clamp", from_torch(torch_clip), kwargs={"low": 0.0}, bound=Exact(), label="one bound"),
    Case(
        clip,
        cube,
        "torch.clamp",
        from_torch(torch_clip),
        kwargs={"low": 1.0, "high": -0.5},
        bound=Exact(),
        gradient_bound=Exact(),
        label="bounds crossed",
    ),
    Case(
        clip,
        lambda rng: (rng.integers(-2, 3, size=(6, 5)) * 0.5,),
        "torch.clamp",
        from_torch(torch_clip),
        kwargs={"low": -0.5, "high": 0.5},
        bound=Exact(),
        gradient_bound=Exact(),
        smooth=False,
        label="on the bounds",
    ),
    Case(
        clip_weights,
        cube,
        "torch.nn.utils.clip_grad_value_",
        lambda w, c: torch_grad_value(torch.from_numpy(w), c).numpy(),
        kwargs={"c": 0.125},
        bound=Exact(),
        refuses=[(([1.0],), {"c": -1.0}, ValueError, r"c: expected a number in \[0, inf\], got -1")],
    ),
    Case(
        clip_by_norm,
        cube,
        "numpy.linalg.norm and a division",
        by_norm,
        kwargs={"max_norm": 1.5},
        sweep={f"length {n:,}": (lambda rng, dtype, n=n: lengths(rng, dtype, n)) for n in (1, 7, 1000, 100_000)}
        | {"squares beyond both ends of the dtype": extremes},
        refuses=[(([1.0], -1.0), {}, ValueError, r"max_norm: expected a number in \[0, inf\], got -1")],
    ),
    Case(
        clip_by_norm,
        cube,
        "the array itself, bit for bit",
        lambda g, max_norm: g,
        kwargs={"max_norm": 1e3},
        bound=Exact(),
        label="below the bound",
    ),
    Case(
        adaptive_gradient_clip,
        units,
        "equation 3 in float64",
        unit_wise,
        bound=Normwise(30),
        refuses=[
            (([1.0], [1.0, 2.0]), {}, ValueError, r"w: expected the shape of g, \(1,\), got \(2,\)"),
            (([1.0], [1.0]), {"threshold": -1.0}, ValueError, r"threshold: expected a number in \[0, inf\], got -1"),
        ],
    ),
    Case(
        adaptive_gradient_clip,
        units,
        "equation 3 in float64",
        unit_wise,
        kwargs={"threshold": 0.125, "eps": 0.5},
        bound=Normwise(30),
        label="other constants",
    ),
    Case(
        adaptive_gradient_clip,
        lambda rng: tuple(rng.normal(size=(2, 9))),
        "equation 3 in float64",
        unit_wise,
        bound=Normwise(9),
        label="a vector is one unit",
    ),
]


def bounded(x, low, high, gives, why):
    return Edge(clip, (x,), gives, why, {"low": low, "high": high}, f"{x:g}, low {low:g}, high {high:g}")


def pulled(x, gives, why):
    return Edge(clip_backward, (1.0, x), gives, why, {"low": -1.0, "high": 1.0}, f"dy = 1, x = {x:g}, from -1 to 1")


def shortened(g, max_norm, gives, why):
    words = ", ".join(f"{v:g}" for v in g)
    return Edge(clip_by_norm, (g,), (gives,), why, {"max_norm": max_norm}, f"[{words}], max_norm {max_norm:g}")


EDGES = [
    bounded(-inf, -1.0, 1.0, -1.0, "the nearer bound"),
    bounded(nan, -1.0, 1.0, nan, "passes through"),
    bounded(-0.0, 0.0, 1.0, -0.0, "equal to the bound, so it stays"),
    bounded(0.0, 2.0, 1.0, 1.0, "low above high: everything becomes high"),
    pulled(1.0, 1.0, "the upper bound passes the gradient"),
    pulled(-1.0, 1.0, "so does the lower one"),
    pulled(nan, 0.0, "nothing passes at NaN"),
    shortened([0.0, 0.0], 1.0, [0.0, 0.0], "zero has no direction, and needs none"),
    shortened([3.0, 4.0], 5.0, [3.0, 4.0], "on the bound: unchanged"),
    shortened([inf, 1.0], 1.0, [nan, 0.0], "an infinite norm"),
    shortened([nan, 1.0], 1.0, [nan, nan], "one NaN spreads to all"),
    Edge(adaptive_gradient_clip, ([1.0], [0.0]), ([1e-5],), "zero weights count as eps: 0.01 times 0.001"),
]


def keras_clipped(**options):
    import keras

    descent = keras.optimizers.SGD(learning_rate=1.0, **options)
    weight = keras.Variable(np.zeros(2, np.float32))
    descent.apply([keras.ops.convert_to_tensor(np.array([3.0, 0.5], np.float32))], [weight])
    return words([-v.item() for v in weight.value])


def words(vector):
    return ", ".join(f"{float(v):.3f}" for v in vector)


def slope_at_one(function):
    x = torch.tensor(1.0, requires_grad=True)
    function(x).backward()
    return x.grad.item()


CONVENTIONS = [
    Convention(
        "clipping",
        "clipping-kind",
        "What clipping at 1 does to a gradient",
        "g = (3, 0.5)",
        [
            Row("dlref `clip`", "each entry", "1.000, 0.500", lambda: words(clip([3.0, 0.5], -1, 1)), "{}", "dlref"),
            Row(
                "PyTorch `clip_grad_value_`",
                "each entry",
                "1.000, 0.500",
                lambda: words(torch_grad_value(torch.tensor([3.0, 0.5]), 1.0)),
                "{}",
                "torch",
            ),
            Row("Keras `clipvalue`", "each entry", "1.000, 0.500", lambda: keras_clipped(clipvalue=1.0), "{}", "keras"),
            Row(
                "dlref `clip_by_norm`",
                "the array's norm",
                "0.986, 0.164",
                lambda: words(clip_by_norm([3.0, 0.5], 1.0)),
                "{}",
                "dlref",
            ),
            Row(
                "Keras `clipnorm`",
                "the array's norm",
                "0.986, 0.164",
                lambda: keras_clipped(clipnorm=1.0),
                "{}",
                "keras",
            ),
        ],
    ),
    Convention(
        "clipping",
        "clipping-gradient-on-the-bound",
        "The derivative on the bound",
        "the interval [-1, 1] at x = 1",
        [
            Row("dlref", "both bounds pass", "1", lambda: float(clip_backward(1.0, 1.0, -1.0, 1.0)), "{:g}", "dlref"),
            Row(
                "PyTorch `clamp`",
                "both bounds pass",
                "1",
                lambda: slope_at_one(lambda x: torch.clamp(x, -1, 1)),
                "{:g}",
                "torch",
            ),
            Row(
                "PyTorch `minimum`, `maximum`",
                "equal arguments share the gradient",
                "0.5",
                lambda: slope_at_one(lambda x: torch.minimum(torch.maximum(x, -torch.ones(())), torch.ones(()))),
                "{:g}",
                "torch",
            ),
            Row(
                "PyTorch `hardtanh`",
                "neither bound passes",
                "0",
                lambda: slope_at_one(torch.nn.functional.hardtanh),
                "{:g}",
                "torch",
            ),
        ],
    ),
    Convention(
        "clipping",
        "clipping-crossed-bounds",
        "The lower bound above the upper one",
        "x = 0, low = 2, high = 1",
        [
            Row("dlref", "high wins", "1", lambda: float(clip(0.0, 2.0, 1.0)), "{:g}", "dlref"),
            Row("NumPy `clip`", "high wins", "1", lambda: float(np.clip(0.0, 2.0, 1.0)), "{:g}", "numpy"),
            Row(
                "PyTorch `clamp`", "high wins", "1", lambda: torch.clamp(torch.zeros(()), 2, 1).item(), "{:g}", "torch"
            ),
            Row("ONNX `Clip`-13", "high wins", "1", lambda: float(onnx_clip(0.0, 2.0, 1.0)), "{:g}", "onnx"),
            Row("Python `max(low, min(x, high))`", "low wins", "2", lambda: max(2.0, min(0.0, 1.0)), "{:g}"),
        ],
    ),
]


def clip_thunks(dtype):
    x = np.random.default_rng(0).normal(size=1_000_000).astype(dtype)
    t = torch.from_numpy(x)
    return lambda: clip(x, -0.5, 0.5), lambda: torch.clamp(t, -0.5, 0.5)


def clip_backward_thunks(dtype):
    x, dy = np.random.default_rng(0).normal(size=(2, 1_000_000)).astype(dtype)
    tx, tdy = torch.from_numpy(x), torch.from_numpy(dy)
    return lambda: clip_backward(dy, x, -0.5, 0.5), lambda: torch.ops.aten.hardtanh_backward(tdy, tx, -0.5, 0.5)


def weights_thunks(dtype):
    w = np.random.default_rng(0).normal(size=(512, 784)).astype(dtype)
    t = torch.from_numpy(w)
    return lambda: clip_weights(w, 0.01), lambda: torch.clamp(t, -0.01, 0.01)


def norm_thunks(dtype):
    x = np.random.default_rng(0).normal(size=1_000_000).astype(dtype)
    t = torch.from_numpy(x)
    return lambda: clip_by_norm(x, 1.0), lambda: t * torch.clamp(1.0 / torch.linalg.vector_norm(t), max=1.0)


def unit_thunks(dtype):
    g, w = np.random.default_rng(0).normal(size=(2, 256, 2304)).astype(dtype)
    tg, tw = torch.from_numpy(g), torch.from_numpy(w)

    def peer():
        limit = 0.01 * torch.linalg.vector_norm(tw, dim=1, keepdim=True).clamp(min=1e-3)
        return tg * torch.clamp(limit / torch.linalg.vector_norm(tg, dim=1, keepdim=True), max=1.0)

    return lambda: adaptive_gradient_clip(g, w), peer


BENCH = [
    Bench("optimizers.clip", "torch.clamp", "1e6", clip_thunks, aim=0.9),
    Bench("optimizers.clip_backward", "torch's hardtanh_backward", "1e6", clip_backward_thunks, aim=0.9),
    Bench("optimizers.clip_weights", "torch.clamp", "512 x 784", weights_thunks, aim=0.9),
    Bench("optimizers.clip_by_norm", "a torch expression", "1e6", norm_thunks, aim=1.0),
    Bench("optimizers.adaptive_gradient_clip", "a torch expression", "256 x 2304", unit_thunks, aim=1.0),
]
