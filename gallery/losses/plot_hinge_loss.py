"""
Hinge loss: who pulls, and who is left alone
============================================

The hinge loss is zero from the margin 1 on, not from the decision boundary on. Where it is zero its gradient is too:
a classifier trained with it hangs on the examples at the margin and inside, and all others could be thrown away.
"""

# %%
# Four losses of a margin
# -----------------------
#
# The error count is what one would like to make small. The other three bound it from above, are convex, and have a
# slope. The logistic loss is divided by log 2, so that it passes through 1 at the boundary.

import matplotlib.pyplot as plt
import numpy as np

from dlref.losses import (
    binary_cross_entropy,
    hinge_loss,
    hinge_loss_backward,
    squared_hinge_loss,
    squared_hinge_loss_backward,
)
from dlref.models import svm_linear

m = np.linspace(-2, 3, 501)
one = np.ones_like(m)
losses = {
    "hinge": hinge_loss(m, one, reduction="none"),
    "squared hinge": squared_hinge_loss(m, one, reduction="none"),
    "logistic / log 2": binary_cross_entropy(m, one, reduction="none") / np.log(2),
}
pulls = {
    "hinge": hinge_loss_backward(1.0, m, one, reduction="sum"),
    "squared hinge": squared_hinge_loss_backward(1.0, m, one, reduction="sum"),
    "logistic / log 2": -1 / (1 + np.exp(m)) / np.log(2),
}
errors = (m <= 0).astype(float)
assert all((loss >= errors - 1e-12).all() for loss in losses.values())
right_but_near = (m > 0) & (m < 1)
assert (losses["hinge"][right_but_near] > 0).all() and (losses["hinge"][m >= 1] == 0).all()
assert (pulls["hinge"][m < 1] == -1).all() and (pulls["logistic / log 2"] < 0).all()

# alt: Left, four losses against the margin from minus 2 to 3. The error count drops from one to zero at margin 0. The
#   hinge falls in a straight line to zero at margin 1, the squared hinge in a parabola to the same point; the logistic
#   loss passes through 1 at margin 0 and approaches zero without reaching it. Right, their slopes: the hinge jumps from
#   minus 1 to zero at margin 1, the squared hinge rises in a line to zero there, the logistic slope fades slowly.
# caption: Left: the loss against the margin $y f$. Between 0 and 1 a prediction is right and still costs. Right: the
#   slope, which is the pull on an example.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.2), layout="constrained")
left.step(m, errors, where="mid", color="C3", linestyle=":", label="error count")
for (name, loss), style in zip(losses.items(), ("-", "--", "-."), strict=True):
    left.plot(m, loss, style, label=name)
    right.plot(m, pulls[name], style, label=name)
left.set(xlabel="margin $y f$", ylabel="loss", ylim=(-0.1, 4))
left.legend()
right.set(xlabel="margin $y f$", ylabel="slope", ylim=(-3, 0.2))
right.grid(True)

# %%
# The examples that carry the solution
# ------------------------------------
#
# A linear classifier on two overlapping clouds, with the hinge loss and a penalty on its weights. Trained again on the
# examples that are at the margin or inside, it finds the same line. Those inside pull with the full slope -1; the few
# exactly at the margin, the kink, pull with what is needed between -1 and 0. That is why the kink has a whole interval
# of subgradients: the optimum uses it.

rng = np.random.default_rng(4)
y = np.repeat([-1.0, 1.0], 100)
x = rng.normal(size=(200, 2)) + 1.2 * y[:, None] * [1.0, 0.6]
model = svm_linear(x, y, np.random.default_rng(0), C=1.0, tol=1e-9)
f = x @ model.w + model.intercept
at, inside = abs(y * f - 1) < 1e-6, y * f < 1 - 1e-6
carrying = at | inside
again = svm_linear(x[carrying], y[carrying], np.random.default_rng(0), C=1.0, tol=1e-9)
assert np.allclose(again.w, model.w, atol=1e-6) and abs(again.intercept - model.intercept) < 1e-6

pull = hinge_loss_backward(1.0, f, y, reduction="sum")
assert (pull[inside] == -y[inside]).all() and (pull[~carrying] == 0).all()
# The penalty's gradient w is balanced by the pulls, once the examples at the kink add their shares.
rest = model.w + x[inside].T @ pull[inside]
columns = y[at] * np.vstack([x[at].T, np.ones(at.sum())])
shares = np.linalg.lstsq(columns, np.append(rest, model.intercept - y[inside].sum()))[0]
assert at.sum() <= 3 and (shares > 0).all() and (shares < 1).all()
assert (inside & (y * f > 0)).any()

# alt: Two overlapping clouds of points with the decision line between them and a dashed line on either side. Points on
#   the far sides are pale. The points between the dashed lines and on the wrong side are drawn strongly; three points
#   on the dashed lines are ringed.
# caption: Pale points have margin 1 or more and no gradient; without them the line is the same. Ringed: exactly at the
#   margin, in the kink.
fig, ax = plt.subplots(figsize=(5.6, 4), layout="constrained")
for label, color, marker in ((-1, "C0", "o"), (1, "C1", "s")):
    own = y == label
    ax.plot(*x[own & ~carrying].T, marker, color=color, alpha=0.25, markersize=5)
    ax.plot(*x[own & carrying].T, marker, color=color, markersize=5, label=f"$y = {label}$, with gradient")
ax.plot(*x[at].T, "o", color="C2", markersize=11, fillstyle="none", label="at the kink")
across = np.linspace(-4, 4, 2)
for level, style in ((0, "-"), (-1, "--"), (1, "--")):
    ax.plot(across, (level - model.intercept - model.w[0] * across) / model.w[1], style, color="C4")
ax.set(xlabel="$x_1$", ylabel="$x_2$", xlim=(-4, 4), ylim=(-4.8, 3.5))
ax.legend(loc="lower left", fontsize="small")
