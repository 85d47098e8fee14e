"""Initial weights: closed-form variances and laws, PyTorch's fans and gains, orthogonality and its uniformity."""

import math

import numpy as np
import scipy.integrate
import scipy.stats
import torch

from dlref.activations import leaky_relu, leaky_relu_backward, relu, relu_backward, tanh, tanh_backward
from dlref.layers import fans, gain, glorot, he, lecun, orthogonal, variance_scaling
from tests.cases import Bench, Convention, Edge, Proof, Row

SHAPES = [(50, 30), (7, 3, 5, 5), (4, 6, 3), (1, 1)]


def draw(seed=0):
    return np.random.default_rng(seed)


def torch_fans(dtype):
    wrong = sum(fans(s) != torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(s)) for s in SHAPES)
    return wrong, len(SHAPES)


def torch_gains(dtype):
    """Homogeneous activations: the gain of PyTorch is the exact one."""
    pairs = [
        (gain(relu, relu_backward), torch.nn.init.calculate_gain("relu")),
        (gain(lambda u: leaky_relu(u, slope=0.3), lambda d, u: leaky_relu_backward(d, u, slope=0.3)), None),
        (gain(lambda u: u, lambda d, u: d), torch.nn.init.calculate_gain("linear")),
    ]
    pairs[1] = pairs[1][0], torch.nn.init.calculate_gain("leaky_relu", 0.3)
    errors = [abs(g / want - 1) for found, want in pairs for g in found]
    # tanh: integrals of SciPy
    density = scipy.stats.norm.pdf
    moment = scipy.integrate.quad(lambda u: np.tanh(u) ** 2 * density(u), -np.inf, np.inf, epsabs=1e-13)[0]
    slope = scipy.integrate.quad(lambda u: np.cosh(u) ** -4 * density(u), -20, 20, epsabs=1e-13)[0]
    found = gain(tanh, tanh_backward)
    errors += [abs(found.forward * math.sqrt(moment) - 1), abs(found.backward * math.sqrt(slope) - 1)]
    return max(errors), len(errors)


CUT_STD = scipy.stats.truncnorm(-2, 2).std()
LAWS = {
    "normal": lambda std: scipy.stats.norm(scale=std),
    "uniform": lambda std: scipy.stats.uniform(-math.sqrt(3) * std, 2 * math.sqrt(3) * std),
    "truncated": lambda std: scipy.stats.truncnorm(-2, 2, scale=std / CUT_STD),
}
SCHEMES = {
    "lecun": (lecun, lambda i, o: 1 / i),
    "glorot": (glorot, lambda i, o: 2 / (i + o)),
    "he": (he, lambda i, o: 2 / i),
}


def laws(dtype):
    """Test every scheme and distribution against its law; return one minus the smallest p-value times their number."""
    shape, smallest, count = (30, 10, 3, 3), 1.0, 0
    for k, (scheme, variance) in enumerate(SCHEMES.values()):
        for distribution, law in LAWS.items():
            w = scheme(shape, draw(k), distribution=distribution, dtype=dtype)
            assert w.dtype == dtype
            smallest = min(smallest, scipy.stats.kstest(w.ravel(), law(math.sqrt(variance(90, 270))).cdf).pvalue)
            count += w.size
    return 1 - min(1, 9 * smallest), count


def slopes(dtype):
    """The same draw as `lecun`, times PyTorch's gain of the slope."""
    worst, count = 0.0, 0
    for slope in (0.0, 0.3, 2.0):
        plain, w = (scheme((30, 20), draw(), dtype=dtype, **s) for scheme, s in ((lecun, {}), (he, {"slope": slope})))
        want = plain.astype(float) * torch.nn.init.calculate_gain("leaky_relu", slope)
        worst = max(worst, float(np.max(abs(w - want) / abs(want))))
        count += w.size
    return worst, count


def variances(dtype):
    """Compare sample variances with the closed form, in standard errors of a variance."""
    worst, count = 0.0, 0
    for mode, n in (("fan_in", 200), ("fan_out", 300), ("fan_avg", 250)):
        for k, (distribution, kurtosis) in enumerate((("normal", 3.0), ("uniform", 1.8), ("truncated", 2.3654))):
            w = variance_scaling((300, 200), draw(k), 1.5, mode, distribution, dtype)
            ratio = np.mean(w.astype(float) ** 2) * n / 1.5**2
            worst = max(worst, abs(ratio - 1) / math.sqrt((kurtosis - 1) / w.size))
            count += w.size
    return worst, count


def orthonormal(dtype):
    worst, count = 0.0, 0
    for shape in ((40, 40), (17, 60), (60, 4, 3, 3)):
        w = orthogonal(shape, draw(), gain=2.0, dtype=dtype).reshape(shape[0], -1).astype(float)
        gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        worst, count = max(worst, abs(gram / 4 - np.eye(len(gram))).max()), count + w.size
    return worst, count


def uniform(dtype):
    """Test an entry and the trace of random 5 x 5 matrices against the law of the orthogonal group."""
    rng = draw()
    matrices = np.array([orthogonal((5, 5), rng, dtype=dtype) for _ in range(2000)])
    entries = scipy.stats.kstest(matrices[:, 0, 0] ** 2, scipy.stats.beta(0.5, 2).cdf).pvalue
    signs = scipy.stats.binomtest(int((matrices[:, 0, 0] > 0).sum()), 2000).pvalue
    theirs = torch.empty(2000, 5, 5)
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    for m in theirs:
        torch.nn.init.orthogonal_(m)
    torch.random.set_rng_state(state)
    traces = [np.trace(m, axis1=1, axis2=2) for m in (matrices, theirs.numpy())]
    same = scipy.stats.ks_2samp(*traces).pvalue
    return 1 - min(1, 3 * min(entries, signs, same)), matrices.size


PROOFS = [
    Proof([fans], "torch.nn.init._calculate_fan_in_and_fan_out", "dense and convolution", "count", 0, torch_fans),
    Proof(
        [gain],
        "torch.nn.init.calculate_gain; for tanh quadrature by SciPy",
        "linear, relu, leaky relu, tanh; forward and backward",
        "relative",
        1e-10,
        torch_gains,
        dtypes=("float64",),
    ),
    Proof(
        [lecun, glorot, he],
        "scipy.stats: norm, uniform, truncnorm; Kolmogorov-Smirnov",
        "30 × 10 × 3 × 3 weights, three laws each; one minus the smallest of nine p-values, times nine",
        "absolute",
        0.999,
        laws,
    ),
    Proof(
        [he],
        "torch.nn.init.calculate_gain",
        "30 × 20 weights, slopes 0, 0.3 and 2, against the same draw of lecun",
        "relative",
        {name: 4 * float(np.finfo(name).eps) for name in ("float32", "float64")},  # two products, each rounded
        slopes,
    ),
    Proof(
        [variance_scaling],
        "the closed form of the variance",
        "300 × 200 weights, three modes, three laws; in standard errors",
        "absolute",
        4.0,
        variances,
    ),
    Proof(
        [orthogonal],
        "the identity",
        "wide, tall and square, gain 2",
        "normwise",
        # Two rounds leave rows perpendicular to a few eps; a sum of 60 products of the test adds as much.
        {"float32": 1e-6, "float64": 2e-15},
        orthonormal,
    ),
    Proof(
        [orthogonal],
        "scipy.stats: the law of one entry; torch.nn.init.orthogonal_: that of the trace",
        "2,000 matrices of 5 × 5; one minus the smallest of three p-values, times three",
        "absolute",
        0.999,
        uniform,
        dtypes=("float64",),
    ),
]

EDGES = [
    Edge(fans, ((10, 3, 5, 5),), (75, 250), "a filter sums 3 channels times 25 positions", input="(10, 3, 5, 5)"),
    Edge(fans, ((10,),), ValueError, "a bias has no fans", input="(10,)"),
    Edge(orthogonal, ((10,), draw()), ValueError, "nor is it a matrix with orthogonal rows", input="(10,)"),
    Edge(fans, ((10, "a"),), TypeError, "lengths are integers", input="(10, 'a')"),
    Edge(lecun, ((2, 3), draw()), TypeError, "no such dtype", {"dtype": "half"}, input="(2, 3), dtype half"),
    Edge(lecun, ((2, 3), draw()), TypeError, "None is no dtype either", {"dtype": None}, input="(2, 3), dtype None"),
    Edge(lecun, ((2, 0), draw()), np.zeros((2, 0)), "no inputs, no division by zero", input="(2, 0)", output="[]"),
    Edge(
        variance_scaling,
        ((1, 2), draw()),
        [[0.0, 0.0]],
        "gain 0 is zero: every unit of the layer stays equal",
        {"gain": 0.0, "distribution": "uniform"},
        input="(1, 2), gain 0",
    ),
]


def seeded(make):
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    try:
        return make()
    finally:
        torch.random.set_rng_state(state)


def keras_weights(initializer, shape, **options):
    import keras

    return getattr(keras.initializers, initializer)(seed=0, **options)(shape).detach().cpu().numpy()


def cut_normal():
    """Truncated weights of our own in units of the normal distribution before the cut."""
    return variance_scaling((2000, 1000), draw(), distribution="truncated") * math.sqrt(1000) * CUT_STD


def keras_default():
    import keras

    layer = keras.layers.Dense(200)
    layer.build((None, 400))
    return layer.kernel.value.detach().cpu().numpy()


def keras_forget():
    import keras

    layer = keras.layers.LSTM(4)
    layer.build((None, None, 3))
    return described(layer.cell.bias.value.detach().cpu().numpy()[4:8])


def torch_forget():
    lstm = seeded(lambda: torch.nn.LSTM(3, 4))
    return described((lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().numpy()[4:8])


def described(bias):
    return "1" if (bias == 1).all() else "random, around 0" if len(set(bias.tolist())) == 4 else "0"


def bound(w):
    return math.sqrt(400) * float(abs(w).max())


def cut(w):
    return "yes" if abs(w).max() < 2.3 * w.std() else "no"


def keras_ratio():
    w = keras_weights("GlorotUniform", (200, 200))
    return round(math.sqrt(200 / 3) * float(abs(w).max()), 2)


CONVENTIONS = [
    Convention(
        "weight-initialization",
        "initialization-default",
        "What a dense layer starts with",
        "400 inputs, 200 outputs: the largest weight times the square root of 400",
        [
            Row("dlref", "`glorot`", "2.00", lambda: bound(glorot((200, 400), draw())), "{:.2f}", "dlref"),
            Row(
                "PyTorch",
                "`Linear`: uniform up to $1 / \\sqrt{n_\\text{in}}$, variance $1 / (3 n_\\text{in})$",
                "1.00",
                lambda: bound(seeded(lambda: torch.nn.Linear(400, 200)).weight.detach().numpy()),
                "{:.2f}",
                "torch",
            ),
            Row(
                "Keras",
                "`Dense`: Glorot, uniform up to $\\sqrt{6 / (n_\\text{in} + n_\\text{out})}$",
                "2.00",
                lambda: bound(keras_default()),
                "{:.2f}",
                "keras",
            ),
        ],
    ),
    Convention(
        "weight-initialization",
        "initialization-truncated",
        "Whether a normal start is cut off",
        "He's normal weights of a 60 by 100 matrix: is none beyond 2.3 deviations?",
        [
            Row(
                "dlref",
                '`he`; `distribution="truncated"` cuts',
                "no",
                lambda: cut(he((60, 100), draw())),
                package="dlref",
            ),
            Row(
                "PyTorch",
                "`kaiming_normal_`",
                "no",
                lambda: cut(seeded(lambda: torch.nn.init.kaiming_normal_(torch.empty(60, 100))).numpy()),
                package="torch",
            ),
            Row(
                "Keras",
                "`HeNormal`: cut at two deviations, widened by 1 / 0.8796",
                "yes",
                lambda: cut(keras_weights("HeNormal", (100, 60))),
                package="keras",
            ),
        ],
    ),
    Convention(
        "weight-initialization",
        "initialization-cut",
        "How a normal start is cut off",
        "two million numbers of deviation one, cut at two: how many are beyond",
        [
            Row(
                "dlref",
                "drawn again until all are inside",
                "0",
                lambda: int((abs(cut_normal()) > 2.0001).sum()),
                package="dlref",
            ),
            Row(
                "PyTorch",
                "`trunc_normal_`: the inverse distribution function of a uniform number",
                "0",
                lambda: int((seeded(lambda: torch.nn.init.trunc_normal_(torch.empty(2_000_000))).abs() > 2.0001).sum()),
                package="torch",
            ),
            Row(
                "Keras on PyTorch",
                "the first of four draws that is inside, or the first of all: one in 230,000 stays outside",
                "11",
                lambda: int((abs(keras_weights("TruncatedNormal", (2000, 1000), stddev=1.0)) > 2.0001).sum()),
                package="keras",
            ),
        ],
    ),
    Convention(
        "weight-initialization",
        "initialization-tanh-gain",
        "The gain of tanh",
        "the factor for the standard deviation of the weights",
        [
            Row(
                "dlref",
                "`gain`: keeps variance one at variance one",
                "1.5925",
                lambda: gain(tanh, tanh_backward).forward,
                "{:.4f}",
                "dlref",
            ),
            Row(
                "PyTorch",
                '`calculate_gain("tanh")`: 5/3',
                "1.6667",
                lambda: torch.nn.init.calculate_gain("tanh"),
                "{:.4f}",
                "torch",
            ),
            Row("Keras", "Glorot as it is, for every activation", "1.0000", keras_ratio, "{:.4f}", "keras"),
        ],
    ),
    Convention(
        "weight-initialization",
        "initialization-forget-bias",
        "The bias of an LSTM's forget gate",
        "a new layer",
        [
            Row("Keras", "`unit_forget_bias=True`", "1", keras_forget, package="keras"),
            Row("PyTorch", "two uniform biases", "random, around 0", torch_forget, package="torch"),
        ],
    ),
]


def thunks(ours, theirs):
    def make(dtype):
        rng, w = draw(), torch.empty(512, 512, dtype=getattr(torch, np.dtype(dtype).name))
        return lambda: ours((512, 512), rng, dtype), lambda: theirs(w)

    return make


def keras_thunks(ours, initializer, **options):
    def make(dtype):
        rng = draw()
        return lambda: ours((512, 512), rng, dtype), lambda: keras_weights(initializer, (512, 512), **options)

    return make


def fans_thunks(dtype):
    w = torch.empty(64, 32, 3, 3)
    return lambda: fans((64, 32, 3, 3)), lambda: torch.nn.init._calculate_fan_in_and_fan_out(w)


def gain_thunks(dtype):
    density, quad = scipy.stats.norm.pdf, scipy.integrate.quad

    def theirs():
        moment = quad(lambda u: np.tanh(u) ** 2 * density(u), -np.inf, np.inf)[0]
        slope = quad(lambda u: np.cosh(u) ** -4 * density(u), -20, 20)[0]
        return moment**-0.5, slope**-0.5

    return lambda: gain(tanh, tanh_backward), theirs


BENCH = [
    Bench("layers.fans", "torch.nn.init", "64 × 32 × 3 × 3", fans_thunks, dtypes=("float32",)),
    Bench("layers.gain", "scipy.integrate.quad of both integrals", "tanh", gain_thunks, dtypes=("float64",)),
    Bench(
        "layers.lecun",
        "keras.initializers.LecunNormal",
        "512 × 512",
        keras_thunks(lambda shape, rng, dtype: lecun(shape, rng, "truncated", dtype), "LecunNormal"),
        dtypes=("float32",),
    ),
    Bench(
        "layers.variance_scaling",
        "keras.initializers.VarianceScaling, uniform",
        "512 × 512",
        keras_thunks(
            lambda shape, rng, dtype: variance_scaling(shape, rng, distribution="uniform", dtype=dtype),
            "VarianceScaling",
            distribution="uniform",
        ),
        dtypes=("float32",),
    ),
    Bench(
        "layers.he",
        "torch.nn.init.kaiming_normal_",
        "512 × 512",
        thunks(lambda shape, rng, dtype: he(shape, rng, dtype=dtype), torch.nn.init.kaiming_normal_),
    ),
    Bench(
        "layers.glorot",
        "torch.nn.init.xavier_uniform_",
        "512 × 512",
        thunks(lambda shape, rng, dtype: glorot(shape, rng, dtype=dtype), torch.nn.init.xavier_uniform_),
    ),
    Bench(
        "layers.orthogonal",
        "torch.nn.init.orthogonal_",
        "512 × 512",
        thunks(lambda shape, rng, dtype: orthogonal(shape, rng, dtype=dtype), torch.nn.init.orthogonal_),
    ),
]
