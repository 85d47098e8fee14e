"""
Sigmoid: one formula, three ways to type it
===========================================

The logistic sigmoid is steepest in the middle, where its slope is one quarter, and flat on both sides. Each of its two
one-line forms fails on one side; choosing the form by the sign of the input fails nowhere.
"""

# %%
# The function and its derivative
# -------------------------------

from decimal import Decimal, getcontext

import matplotlib.pyplot as plt
import numpy as np

from dlref.activations import log_sigmoid, sigmoid, sigmoid_backward

x = np.linspace(-8, 8, 401)
slope = sigmoid_backward(np.ones_like(x), x)
assert slope.max() == 0.25 == slope[200] and abs(slope - slope[::-1]).max() < 1e-15

# alt: Two curves over x from -8 to 8. The sigmoid climbs from zero to one with one half at zero. Its derivative is a
#   bell with a peak of one quarter at zero.
# caption: The logistic sigmoid and its derivative, at most one quarter.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.plot(x, sigmoid(x), label="$\\sigma(x)$")
ax.plot(x, slope, label="$\\sigma(x)\\,(1 - \\sigma(x))$")
ax.set(xlabel="$x$", ylabel="value", ylim=(-0.03, 1.03))
ax.legend()

# %%
# The error of each spelling
# --------------------------
#
# In units in the last place of float64, against forty-digit decimal arithmetic. Where a form returns zero, infinity or
# NaN for a positive truth it is drawn at the top.

getcontext().prec = 60
getcontext().Emin, getcontext().Emax = -(10**6), 10**6
points = np.linspace(-800, 800, 1601)
exact = [1 / (1 + (-Decimal(v)).exp()) for v in points.tolist()]
with np.errstate(all="ignore"):
    forms = {
        "$1 / (1 + e^{-x})$": 1 / (1 + np.exp(-points)),
        "$e^x / (1 + e^x)$": np.exp(points) / (1 + np.exp(points)),
        "by the sign of $x$": sigmoid(points),
    }
    logs = {
        "$\\log \\sigma(x)$": np.log(sigmoid(points)),
        "$\\min(x, 0) - \\log(1 + e^{-|x|})$": log_sigmoid(points),
    }
TOP = 1e20


def ulps(values, truths):
    """Distance from the truth in units in the last place of the truth."""
    errors = []
    for value, truth in zip(values.tolist(), truths, strict=True):
        off = abs(Decimal(value) - truth) / Decimal(float(np.spacing(abs(float(truth))))) if np.isfinite(value) else TOP
        errors.append(min(float(off), TOP))
    return np.maximum(errors, 1e-2)


measured = {name: ulps(values, exact) for name, values in forms.items()}
on_left, on_right = points < -720, points > 720
first, second, both = measured.values()
lost = (forms["$1 / (1 + e^{-x})$"] == 0) & (np.array([float(v) for v in exact]) > 0)
assert lost.any() and points[lost].max() == -710
assert np.isnan(forms["$e^x / (1 + e^x)$"][points >= 710]).all()
assert both.max() < 4

# log(1 + z) is z - z^2/2 to all digits where z is small
odds = [(-Decimal(v)).exp() for v in points.tolist()]
logs_exact = [z * z / 2 - z if z < Decimal("1e-25") else -(1 + z).ln() for z in odds]
measured_logs = {name: ulps(values, logs_exact) for name, values in logs.items()}
plain, stable = measured_logs.values()
assert stable.max() < 4 and plain[points < -746].min() == TOP and plain[points > 40].max() > 1e6

# alt: Two panels of error against x from -800 to 800 on a logarithmic axis. Left, the form 1 / (1 + exp(-x)) jumps at
#   -709, the form exp(x) / (1 + exp(x)) jumps to the top at 710, and the form chosen by sign stays near one unit
#   everywhere. Right, the logarithm of the sigmoid is at the top to the left of -745 and rises beyond 15; the stable
#   form stays near one unit.
# caption: Error of three forms of the sigmoid, left, and two of its logarithm, right, in units in the last place.
fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True, layout="constrained")
for ax, curves in zip(axes, (measured, measured_logs), strict=True):
    for name, errors in curves.items():
        ax.plot(points[::4], errors[::4], label=name)
    ax.set(yscale="log", xlabel="$x$", ylim=(5e-3, 1e27))
    ax.legend(loc="upper center")
axes[0].set_ylabel("error in ULP")
