"""Local response normalization against PyTorch and ONNX, with more channels than examples."""

import numpy as np
import torch

from dlref.layers import local_response_norm, local_response_norm_backward
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.onnx_examples import evaluate, published
from tests.oracles import from_torch

F = torch.nn.functional
inf, nan = np.inf, np.nan


def maps(rng, scale=3.0):
    return (rng.normal(size=(2, 7, 5, 3)) * scale,)


def torch_lrn(x, size=5, alpha=1e-4, beta=0.75, k=1.0):
    # PyTorch asks for positions behind the channels.
    return F.local_response_norm(x[..., None] if x.ndim == 2 else x, size, alpha, beta, k).reshape(x.shape)


SWEEP = {
    "values around 1e-4, 1 and 1e4": lambda rng, dtype: (
        rng.normal(size=(3, 40, 9)) * np.array([1e-4, 1.0, 1e4])[:, None, None],
    )
}
STRONG = {"alpha": 0.7, "beta": 0.75, "k": 2.0}
TORCH = {"oracle": "torch.nn.functional.local_response_norm", "want": from_torch(torch_lrn)}
CASES = [
    Case(
        local_response_norm,
        maps,
        kwargs={"size": 5} | STRONG,
        sweep=SWEEP,
        bound=Normwise(5),
        refuses=[
            (([1.0],), {}, ValueError, "x: expected at least 2 dimensions, got 1"),
            (([[1.0]],), {"size": 0}, ValueError, "size: expected an integer at least 1, got 0"),
            (([[1.0]],), {"k": -1.0}, ValueError, r"k: expected a number in \[0, inf\], got -1"),
        ],
        label="five channels",
        **TORCH,
    ),
    Case(
        local_response_norm,
        maps,
        kwargs={"size": 4} | STRONG | {"beta": 1.5},
        bound=Normwise(4),
        label="four channels, beta = 1.5",
        **TORCH,
    ),
    Case(
        local_response_norm,
        lambda rng: (rng.normal(size=(4, 6)) * 100,),
        bound=Normwise(5),
        label="(N, C), defaults",
        **TORCH,
    ),
]


def published_by_onnx(dtype):
    worst, count = 0.0, 0
    for example in published("lrn"):
        a = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0} | example.attributes
        x, y = example.inputs[0].astype(dtype), example.outputs[0]
        got = local_response_norm(x, a["size"], a["alpha"], a["beta"], a["bias"])
        worst = max(worst, abs(got - y).max() / abs(y).max())
        count += y.size
    return worst, count


PROOFS = [
    Proof(
        [local_response_norm],
        "ONNX, published examples of LRN",
        "two examples of three channels, shape (5, 5, 5, 5)",
        "normwise",
        {"float32": 20 * 2.0**-23, "float64": 20 * 2.0**-23},  # the published numbers are float32
        published_by_onnx,
    ),
]

EDGES = [
    Edge(local_response_norm, ([[0.0, -0.0]],), [[0.0, -0.0]], "zero stays zero, with its sign"),
    Edge(
        local_response_norm,
        ([[0.0, 1.0, 0.0, 9.0]],),
        [[0.0, 0.5, 0.0, 9 / 82]],
        "channels that do not exist add nothing, and the divisor keeps its size",
        {"size": 3, "alpha": 3.0, "beta": 1.0},
        input="0, 1, 0, 9; three channels, alpha 3, beta 1",
        output="0, 0.5, 0, 0.1098",
    ),
    Edge(
        local_response_norm,
        ([[nan, 1.0, 1.0, 1.0]],),
        [[nan, nan, 1.0, 1.0]],
        "NaN reaches the windows that see it, whatever alpha is",
        {"size": 3, "alpha": 0.0},
        input="nan, 1, 1, 1; three channels, alpha 0",
        output="nan, nan, 1, 1",
    ),
    Edge(
        local_response_norm,
        ([[inf, 1.0]],),
        [[nan, 0.0]],
        "an infinite neighbor silences; infinity by itself is inf / inf",
        {"size": 3},
        input="inf, 1; three channels",
        output="nan, 0",
    ),
    Edge(
        local_response_norm_backward,
        ([[0.0, 1.0, 0.0]], [[1.0, 1.0, 1.0]]),
        [[-0.125, 0.125, -0.125]],
        "the neighbors' gradients are negative: inhibition",
        {"size": 3, "alpha": 3.0, "beta": 1.0},
        input="dy = 0, 1, 0, x = 1, 1, 1; alpha 3, beta 1",
        output="-0.125, 0.125, -0.125",
    ),
]


FIVE = np.array([[1.0, 2.0, 3.0, 2.0, 1.0]])
SQUARE = np.tile(
    np.array([1.0, 2.0, 4.0, 8.0, 16.0])[None, :, None, None], (5, 1, 1, 1)
)  # N = C: with others onnx.reference errs
CONVENTIONS = [
    Convention(
        "local-response-normalization",
        "lrn-alpha",
        "Whether alpha weighs the sum or the mean of the squares",
        "channels 1, 2, 3, 2, 1 with five in a window, k = 1, alpha = 1, beta = 1: the middle one",
        [
            Row(
                "dlref",
                r"the mean: $3 / (1 + 19/5)$",
                "0.625",
                lambda: local_response_norm(FIVE, 5, 1.0, 1.0)[0, 2],
                "{:.3f}",
                "dlref",
            ),
            Row(
                "PyTorch",
                r"the mean: $3 / (1 + 19/5)$",
                "0.625",
                lambda: torch_lrn(torch.from_numpy(FIVE), 5, 1.0, 1.0)[0, 2].item(),
                "{:.3f}",
                "torch",
            ),
            Row(
                "ONNX",
                r"the mean: $3 / (1 + 19/5)$",
                "0.625",
                lambda: evaluate(
                    "LRN", np.tile(FIVE[:, :, None, None], (5, 1, 1, 1)), size=5, alpha=1.0, beta=1.0, bias=1.0
                )[0][0, 2, 0, 0],
                "{:.3f}",
                "onnx",
            ),
            Row("the paper", r"the sum: $3 / (1 + 19)$", "0.150", source="{cite:t}`krizhevsky2012imagenet`"),
            Row(
                "TensorFlow",
                r"the sum: $3 / (1 + 19)$; `depth_radius` is 2, half of the window",
                "0.150",
                source="documentation of `tf.nn.local_response_normalization`",
            ),
        ],
    ),
    Convention(
        "local-response-normalization",
        "lrn-even",
        "An even number of channels",
        "channels 1, 2, 4, 8, 16 with four in a window, k = 0, alpha = 4, beta = 1: the third, 4 divided by the energy",
        [
            Row(
                "dlref",
                "two before, one behind: $4 / (1 + 4 + 16 + 64)$",
                "0.0471",
                lambda: local_response_norm(SQUARE[:1, :, 0, 0], 4, 4.0, 1.0, 0.0)[0, 2],
                "{:.4f}",
                "dlref",
            ),
            Row(
                "PyTorch",
                "two before, one behind: $4 / (1 + 4 + 16 + 64)$",
                "0.0471",
                lambda: torch_lrn(torch.from_numpy(SQUARE), 4, 4.0, 1.0, 0.0)[0, 2, 0, 0].item(),
                "{:.4f}",
                "torch",
            ),
            Row(
                "ONNX",
                "one before, two behind: $4 / (4 + 16 + 64 + 256)$",
                "0.0118",
                lambda: evaluate("LRN", SQUARE, size=4, alpha=4.0, beta=1.0, bias=0.0)[0][0, 2, 0, 0],
                "{:.4f}",
                "onnx",
            ),
        ],
    ),
]


def thunks(dtype):
    x = np.random.default_rng(0).normal(size=(8, 32, 28, 28)).astype(dtype)
    t = torch.from_numpy(x)
    return lambda: local_response_norm(x), lambda: F.local_response_norm(t, 5)


def backward_thunks(dtype):
    x, dy = np.random.default_rng(0).normal(size=(2, 8, 32, 28, 28)).astype(dtype)
    t, tdy = torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)

    def peer():  # as here, where nothing is kept of the forward pass
        return torch.autograd.grad(F.local_response_norm(t, 5), t, tdy)

    return lambda: local_response_norm_backward(dy, x), peer


PEER = "torch.nn.functional.local_response_norm"
BENCH = [
    Bench("layers.local_response_norm", PEER, "8 × 32 × 28 × 28", thunks, aim=3.0),
    Bench("layers.local_response_norm_backward", f"{PEER} and its autograd", "8 × 32 × 28 × 28", backward_thunks),
]
