"""Absolute, Huber and log-cosh loss, and a cost: the mean of one of them plus a penalty."""

import warnings

import gmpy2
import numpy as np
import scipy.integrate
import scipy.stats
import sklearn.linear_model
import sklearn.metrics
import torch
import torch.nn.functional as F

from dlref.losses import (
    cost,
    cost_backward,
    cross_entropy,
    huber_loss,
    huber_loss_backward,
    log_cosh_loss,
    log_cosh_loss_backward,
    mean_absolute_error,
    mean_absolute_error_backward,
    mean_squared_error,
)
from tests.bounds import ULP, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.oracles import from_mpfr, from_torch
from tests.sweeps import exponents, rows

inf, nan = np.inf, np.nan
ROWS = np.array([[[0.5], [2.0], [1.5]]])


def pair(rng):
    return rng.normal(size=(2, 5, 3, 7)) * 2


def flat(rng, length, mean):
    return rng.normal(size=(2, length)) * 4 + mean


def costly(rng):
    return rng.normal(size=(5, 3, 7)) * 2, rng.normal(size=11), rng.normal(size=(5, 3, 7)) * 2


def reduced(losses, weight, reduction):
    losses = losses if weight is None else losses * weight
    if reduction == "none":
        return losses
    count = losses.numel() if weight is None else weight.expand_as(losses).sum()
    return losses.sum() / (count if reduction == "mean" else 1)


def torch_absolute(x, y, weight=None, reduction="mean"):
    return F.l1_loss(x, y, reduction=reduction, weight=None if weight is None else weight.expand_as(x))


def torch_huber(x, y, delta=1.0, weight=None, reduction="mean"):
    return reduced(F.huber_loss(x, y, reduction="none", delta=delta), weight, reduction)


def torch_log_cosh(x, y, weight=None, reduction="mean"):
    """The textbook form: good for gradients at moderate errors."""
    return reduced(torch.log(torch.cosh(x - y)), weight, reduction)


def mpfr_log_cosh(x, y, **_):
    size = abs(x - y)
    if size < 1:
        return gmpy2.log1p(2 * gmpy2.sinh(size / 2) ** 2)
    return size + gmpy2.log1p(gmpy2.exp(-2 * size)) - gmpy2.log(gmpy2.mpfr(2))


def average_log_cosh(x, y, weight=None, **_):
    losses = from_mpfr(mpfr_log_cosh)(x, y).high
    return np.average(losses, weights=None if weight is None else np.broadcast_to(weight, x.shape))


def by_sklearn(x, y, weight=None, **_):
    weight = None if weight is None else np.broadcast_to(weight, x.shape).ravel()
    return sklearn.metrics.mean_absolute_error(y.ravel(), x.ravel(), sample_weight=weight)


def torch_cost(x, params, y, loss=mean_squared_error, weight=None, delta=1.0, l1=0.0, l2=0.0):
    """The mean from torch.nn.functional, the penalty from torch.linalg."""
    losses = {
        mean_squared_error: lambda: F.mse_loss(x, y, reduction="none"),
        mean_absolute_error: lambda: F.l1_loss(x, y, reduction="none"),
        huber_loss: lambda: F.huber_loss(x, y, reduction="none", delta=delta),
        log_cosh_loss: lambda: torch_log_cosh(x, y, reduction="none"),
    }[loss]()
    norm = torch.linalg.vector_norm
    return reduced(losses, weight, "mean") + l1 * norm(params, 1) + l2 * norm(params, 2) ** 2


def torch_class_cost(x, params, y, loss=None, weight=None, l1=0.0, l2=0.0):
    return F.cross_entropy(x, y, weight) + l2 * torch.linalg.vector_norm(params) ** 2


def errors(rng, dtype):
    """Every exponent, and the middle more densely."""
    x = np.concatenate([exponents(count=20_000, dtype=dtype), np.linspace(-5, 5, 20_001)]).astype(dtype)
    return x, np.zeros_like(x)


ABSOLUTE, HUBER = "torch.nn.functional.l1_loss", "torch.nn.functional.huber_loss"
WRONG = [
    (([1.0], [[1.0]]), {}, ValueError, r"target: expected the shape of prediction, \(1,\), got \(1, 1\)"),
    (([1.0], [1.0]), {"weight": [1.0, 2.0]}, ValueError, r"weight: expected a shape that broadcasts to \(1,\)"),
    (([1.0], [1.0]), {"reduction": "average"}, ValueError, "reduction: expected one of 'mean', 'sum', 'none'"),
]

CASES = [
    Case(
        mean_absolute_error,
        pair,
        ABSOLUTE,
        from_torch(torch_absolute),
        sweep=rows(flat),
        refuses=WRONG,
        label="mean",
    ),
    Case(
        mean_absolute_error,
        pair,
        ABSOLUTE,
        from_torch(torch_absolute),
        kwargs={"weight": ROWS, "reduction": "none"},
        bound=Normwise(1),
        label="weights, none",
    ),
    Case(
        mean_absolute_error,
        pair,
        "sklearn.metrics.mean_absolute_error",
        by_sklearn,
        kwargs={"weight": ROWS},
        gradient=torch_absolute,
        label="weights, mean",
    ),
    Case(
        huber_loss,
        pair,
        HUBER,
        from_torch(torch_huber),
        sweep=rows(flat),
        refuses=[*WRONG, (([1.0], [1.0]), {"delta": 0}, ValueError, r"delta: expected a number in \(0, inf\], got 0")],
        label="mean",
    ),
    Case(
        huber_loss,
        pair,
        HUBER,
        from_torch(torch_huber),
        kwargs={"delta": 2.5, "weight": ROWS, "reduction": "none"},
        bound=Normwise(1),
        label="delta 2.5, weights, none",
    ),
    Case(
        huber_loss,
        pair,
        HUBER,
        from_torch(torch_huber),
        kwargs={"delta": 0.3, "weight": ROWS},
        label="delta 0.3, weights, mean",
    ),
    Case(
        log_cosh_loss,
        lambda rng: errors(rng, np.float32),
        "MPFR, 200 bits",
        from_mpfr(mpfr_log_cosh),
        kwargs={"reduction": "none"},
        sweep={"40,001 errors over all exponents, both signs, and densely to 5": errors},
        bound=ULP(8),
        label="none",
    ),
    Case(
        log_cosh_loss,
        pair,
        "MPFR, 200 bits, and numpy.average",
        average_log_cosh,
        gradient=torch_log_cosh,
        refuses=WRONG,
        label="mean",
    ),
    Case(
        log_cosh_loss,
        pair,
        "MPFR, 200 bits, and numpy.average",
        average_log_cosh,
        kwargs={"weight": ROWS},
        gradient=torch_log_cosh,
        label="weights, mean",
    ),
    *(
        Case(
            cost,
            costly,
            f"{oracle} and torch.linalg.vector_norm",
            from_torch(torch_cost),
            kwargs={"loss": loss, "weight": ROWS, "l1": 0.3, "l2": 0.2, **options},
            label=f"{loss.__name__}, weights, both penalties",
        )
        for loss, oracle, options in (
            (mean_squared_error, "torch.nn.functional.mse_loss", {}),
            (mean_absolute_error, ABSOLUTE, {}),
            (huber_loss, HUBER, {"delta": 0.7}),
            (log_cosh_loss, "log(cosh) in torch, at moderate errors,", {}),
        )
    ),
    Case(
        cost,
        lambda rng: (rng.normal(size=(5, 3)) * 2, rng.normal(size=11), rng.integers(0, 3, 5)),
        "torch.nn.functional.cross_entropy and torch.linalg.vector_norm",
        from_torch(torch_class_cost),
        kwargs={"loss": cross_entropy, "weight": np.array([0.5, 2.0, 1.0]), "l2": 0.2},
        label="cross_entropy, class weights, L2",
    ),
    Case(
        cost,
        costly,
        "torch.nn.functional.mse_loss",
        from_torch(torch_cost),
        refuses=[
            (
                ([1.0], [1.0], [1.0]),
                {"loss": "huber"},
                TypeError,
                "loss: expected a function such as huber_loss, got str",
            ),
            (([1.0], [1.0], [1.0]), {"l2": -1.0}, ValueError, r"l2: expected a number in \[0, inf\], got -1"),
            (
                ([1.0], [1.0], [[1.0]]),
                {},
                ValueError,
                r"target: expected the shape of prediction, \(1,\), got \(1, 1\)",
            ),
        ],
        label="mean_squared_error, no penalty",
    ),
]


def population_risk(dtype):
    """Mean losses of 400,000 normal errors against the integral of loss times density, in standard errors."""
    rng, (mean, deviation), count = np.random.default_rng(3), (0.8, 1.5), 400_000
    draws = mean + deviation * rng.normal(size=count)
    formulas = {
        mean_squared_error: lambda e: e**2,
        mean_absolute_error: abs,
        huber_loss: lambda e: e**2 / 2 if abs(e) <= 1 else abs(e) - 0.5,
        log_cosh_loss: lambda e: np.log(np.cosh(e)),
    }
    density, worst = scipy.stats.norm(mean, deviation).pdf, 0.0
    for function, formula in formulas.items():
        moments = [
            scipy.integrate.quad(lambda e, k=k, f=formula: f(e) ** k * density(e), -15, 15, points=[-1, 0, 1])[0]
            for k in (1, 2)
        ]
        got = float(function(draws.astype(dtype), np.zeros(count, dtype)))
        worst = max(worst, abs(got - moments[0]) / np.sqrt((moments[1] - moments[0] ** 2) / count))
    return worst, 4 * count


PROOFS = [
    Proof(
        [mean_absolute_error, huber_loss, log_cosh_loss],
        "scipy.integrate.quad of loss times density: the population risk",
        "400,000 errors from N(0.8, 1.5^2) for each of four losses",
        "standard errors",
        4.0,
        population_risk,
    ),
]

EDGES = [
    Edge(cost, ([], [3.0], []), nan, "the mean over nothing: 0 / 0", input="no examples, params [3]"),
    Edge(cost, ([2.0], [], [1.0]), 1.0, "nothing to penalize", {"l2": 0.5}, "[2], params [], target [1], l2 0.5"),
    Edge(
        cost_backward,
        (1.0, [2.0], [0.0], [1.0]),
        ([2.0], [0.0]),
        "the L1 norm's slope at 0 is taken as 0",
        {"l1": 0.5},
        "1, [2], params [0], target [1], l1 0.5",
        "[2], [0]",
    ),
    Edge(mean_absolute_error_backward, (1.0, [2.0], [2.0]), [0.0], "the kink: zero is chosen"),
    Edge(mean_absolute_error_backward, (1.0, [nan], [2.0]), [nan], "passes through"),
    Edge(huber_loss, ([inf], [0.0]), inf, "straight, and still unbounded"),
    Edge(huber_loss_backward, (1.0, [inf], [0.0]), [1.0], "pulls with delta, no more"),
    Edge(log_cosh_loss, ([1e4], [0.0]), 1e4 - np.log(2), "cosh itself overflows", output="9999.31"),
    Edge(log_cosh_loss, ([1e-12], [0.0]), 5e-25, "half the square; log(cosh) typed as it stands gives 0"),
    Edge(log_cosh_loss_backward, (1.0, [-inf], [0.0]), [-1.0], "the strongest pull there is"),
]


def keras_huber():
    import keras

    return float(keras.losses.Huber(delta=2.0)(np.array([[0.0]]), np.array([[3.0]])))


def keras_weighted():
    import keras

    weights = np.array([1.0, 3.0])
    return float(keras.losses.Huber()(np.zeros((2, 1)), np.array([[1.0], [2.0]]), sample_weight=weights))


def keras_penalty():
    import keras

    return float(keras.regularizers.L2(0.1)(np.array([3.0])))


def torch_decay_slope():
    """What weight decay of SGD adds to a gradient of zero, read off one step."""
    w = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)
    w.grad = torch.zeros_like(w)
    torch.optim.SGD([w], lr=1.0, weight_decay=0.1).step()
    return 3.0 - float(w.detach())


def ridge_slope():
    """One feature, 1, for four examples with the target 4: the slope w that minimizes."""
    model = sklearn.linear_model.Ridge(alpha=4.0, fit_intercept=False)
    return float(model.fit(np.ones((4, 1)), np.full(4, 4.0)).coef_[0])


def our_slope():
    """The zero of the cost's gradient for the same data and the same number as a penalty."""
    low, high = 0.0, 4.0
    for _ in range(60):
        w = (low + high) / 2
        pull = cost_backward(1.0, np.full(4, w), [w], np.full(4, 4.0), l2=4.0)
        low, high = (w, high) if pull.prediction.sum() + pull.params[0] < 0 else (low, w)
    return w


def elastic_net_slope():
    model = sklearn.linear_model.ElasticNet(alpha=4.0, l1_ratio=0.0, fit_intercept=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(model.fit(np.ones((4, 1)), np.full(4, 4.0)).coef_[0])


def t(value):
    return torch.tensor(value, dtype=torch.float64)


CONVENTIONS = [
    Convention(
        "cost-function",
        "cost-penalty-slope",
        "The factor in an L2 penalty",
        "the gradient that a penalty with $\\lambda = 0.1$ adds at $\\theta = 3$",
        [
            Row(
                "dlref",
                "$\\lambda \\theta^2$",
                "0.6",
                lambda: round(float(cost_backward(1.0, [0.0], [3.0], [0.0], l2=0.1).params[0]), 12),
                package="dlref",
            ),
            Row(
                "Keras on PyTorch",
                "`L2(0.1)`: the same; its value is 0.9",
                "0.6",
                lambda: round(keras_penalty() * 2 / 3.0, 6),
                package="keras",
            ),
            Row(
                "PyTorch",
                "`weight_decay` of SGD: as if the penalty were $\\lambda \\theta^2 / 2$",
                "0.3",
                lambda: round(torch_decay_slope(), 12),
                package="torch",
            ),
        ],
    ),
    Convention(
        "cost-function",
        "cost-mean-or-sum",
        "What a penalty is weighed against",
        "four examples with feature 1 and target 4, penalty weight 4: the best slope",
        [
            Row("dlref", "the mean of the squares", "0.8", lambda: round(our_slope(), 10), package="dlref"),
            Row("scikit-learn", "`Ridge`: the sum of the squares", "2.0", ridge_slope, package="scikit-learn"),
            Row(
                "scikit-learn",
                "`ElasticNet`: half the mean of the squares, with half of $\\theta^2$",
                "0.8",
                lambda: round(elastic_net_slope(), 10),
                package="scikit-learn",
            ),
        ],
    ),
    Convention(
        "cost-function",
        "cost-weights",
        "What a weighted mean of Huber losses divides by",
        "errors 1 and 2, so losses 0.5 and 1.5, with weights 1 and 3",
        [
            Row(
                "dlref",
                "the sum of the weights, 4",
                "1.25",
                lambda: float(huber_loss([1.0, 2.0], [0.0, 0.0], weight=[1.0, 3.0])),
                package="dlref",
            ),
            Row(
                "PyTorch",
                "`huber_loss(weight=...)`: the number of examples, 2, unlike its own `mse_loss` and `l1_loss`",
                "2.5",
                lambda: float(F.huber_loss(t([1.0, 2.0]), t([0.0, 0.0]), weight=t([1.0, 3.0]))),
                package="torch",
            ),
            Row(
                "Keras on PyTorch",
                "`Huber` with `sample_weight`: the number of examples",
                "2.5",
                keras_weighted,
                package="keras",
            ),
        ],
    ),
    Convention(
        "cost-function",
        "cost-huber",
        "Huber's loss and the smooth L1 loss",
        "an error of 3, the bend at 2",
        [
            Row(
                "dlref",
                "`huber_loss`",
                "4.0",
                lambda: float(huber_loss([3.0], [0.0], delta=2.0)),
                package="dlref",
            ),
            Row(
                "PyTorch",
                "`huber_loss`: the same",
                "4.0",
                lambda: float(F.huber_loss(t([3.0]), t([0.0]), delta=2.0)),
                package="torch",
            ),
            Row("Keras on PyTorch", "`Huber`: the same", "4.0", keras_huber, package="keras"),
            Row(
                "PyTorch",
                "`smooth_l1_loss(beta=2)`: divided by the bend",
                "2.0",
                lambda: float(F.smooth_l1_loss(t([3.0]), t([0.0]), beta=2.0)),
                package="torch",
            ),
        ],
    ),
]


def drawn(dtype, size):
    x, y = np.random.default_rng(0).normal(size=(2, size)).astype(dtype)
    return x, y, torch.from_numpy(x), torch.from_numpy(y)


def thunks(ours, theirs, size=1_000_000):
    def make(dtype):
        x, y, tx, ty = drawn(dtype, size)
        return lambda: ours(x, y), lambda: theirs(tx, ty)

    return make


def gradient_thunks(ours, backward, theirs, size=1_000_000):
    def make(dtype):
        with torch.inference_mode(False):
            x, y, tx, ty = drawn(dtype, size)
            leaf, one = tx.requires_grad_(), np.dtype(dtype).type(1)

        def peer():
            with torch.inference_mode(False):
                leaf.grad = None
                theirs(leaf, ty).backward()

        return lambda: (ours(x, y), backward(one, x, y)), peer

    return make


def cost_thunks(dtype):
    x, y, tx, ty = drawn(dtype, 1_000_000)
    params, _, tp, _ = drawn(dtype, 100_000)
    return lambda: cost(x, params, y, l2=0.1), lambda: F.mse_loss(tx, ty) + 0.1 * (tp * tp).sum()


def cost_gradient_thunks(dtype):
    with torch.inference_mode(False):
        x, y, tx, ty = drawn(dtype, 1_000_000)
        params, _, tp, _ = drawn(dtype, 100_000)
        leaves = tx.requires_grad_(), tp.requires_grad_()

    def ours():
        return cost(x, params, y, l2=0.1), cost_backward(x.dtype.type(1), x, params, y, l2=0.1)

    def peer():
        with torch.inference_mode(False):
            for leaf in leaves:
                leaf.grad = None
            (F.mse_loss(tx, ty) + 0.1 * (tp * tp).sum()).backward()

    return ours, peer


def both(name):
    return f"{name} and backward(); ours in two passes"


BENCH = [
    Bench("losses.mean_absolute_error", ABSOLUTE, "1e6", thunks(mean_absolute_error, F.l1_loss), aim=1.0),
    Bench(
        "losses.mean_absolute_error_backward",
        both(ABSOLUTE),
        "1e6",
        gradient_thunks(mean_absolute_error, mean_absolute_error_backward, F.l1_loss),
        aim=1.0,
    ),
    Bench("losses.huber_loss", HUBER, "1e6", thunks(huber_loss, F.huber_loss), aim=1.0),
    Bench(
        "losses.huber_loss_backward",
        both(HUBER),
        "1e6",
        gradient_thunks(huber_loss, huber_loss_backward, F.huber_loss),
        aim=1.0,
    ),
    Bench(
        "losses.log_cosh_loss",
        "log(cosh) in torch, without care for overflow",
        "1e6",
        thunks(log_cosh_loss, torch_log_cosh),
        aim=1.0,
    ),
    Bench(
        "losses.log_cosh_loss_backward",
        both("log(cosh) in torch"),
        "1e6",
        gradient_thunks(log_cosh_loss, log_cosh_loss_backward, torch_log_cosh),
        aim=1.0,
    ),
    Bench("losses.cost", "the same in torch, squared loss and L2", "1e6, 1e5 parameters", cost_thunks, aim=1.0),
    Bench(
        "losses.cost_backward",
        both("the same in torch, squared loss and L2,"),
        "1e6, 1e5 parameters",
        cost_gradient_thunks,
        aim=1.0,
    ),
]
