"""
Latent space: a map that can be drawn from
==========================================

An autoencoder and a variational one place the digits on a plane. Both reconstruct equally well. Only in the second is
it known where the codes lie: draws from the prior fall among them.
"""

# %%
# Two maps
# --------
#
# The same network, trained once by its reconstruction alone and once by the evidence lower bound.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.models import linear_path, spherical_path, vae_decode, vae_elbo, vae_encode, vae_parameters
from dlref.optimizers import adam, adam_state
from dlref.training import fit

images, labels = load_digits(return_X_y=True)
x = (images / 16).astype(np.float32)
order = np.random.default_rng(1).permutation(len(x))
train, test = order[:1400], order[1400:]
noise = np.random.default_rng(2)


def bound(params, x):
    """Return the mean negative bound, with fresh noise for every batch."""
    return -np.mean(vae_elbo(params, x, noise.normal(size=(len(x), 2)).astype(np.float32), 0.25))


def reconstruction(params, x):
    return np.mean((vae_decode(params, vae_encode(params, x).mean) - x) ** 2)


start = vae_parameters(np.random.default_rng(0), 64, 64, 2)
models = {}
for name, loss in (("autoencoder", reconstruction), ("variational", bound)):
    settings = {"lr": 0.005, "batch_size": 100, "epochs": 35, "rng": np.random.default_rng(3)}
    models[name] = fit(loss, start, (x[train],), adam, adam_state, **settings).params
codes = {name: vae_encode(params, x).mean for name, params in models.items()}
errors = {name: float(reconstruction(params, x[test])) for name, params in models.items()}
untrained = float(reconstruction(start, x[test]))
assert max(errors.values()) < 0.07 < untrained, (errors, untrained)
assert abs(errors["variational"] / errors["autoencoder"] - 1) < 0.15, errors

draws = np.random.default_rng(4).normal(size=(1000, 2))
gaps = {}
for name, code in codes.items():
    distance = np.sqrt(((draws[:, None] - code[train]) ** 2).sum(axis=2)).min(axis=1)
    gaps[name] = float(np.mean(distance > 0.15))
assert gaps["variational"] < 0.2 < 0.35 < gaps["autoencoder"], gaps
spread = codes["variational"][test]
assert np.abs(spread.mean(axis=0)).max() < 0.4 and np.abs(spread.std(axis=0) - 1).max() < 0.3

# alt: Two scatter plots of digits, written as numerals in several colors, with a dashed circle of radius two. On the
#   left the codes of the autoencoder lie in one part of the circle and leave more than half of it empty. On the right
#   the codes of the variational one fill the circle, numerals of a kind side by side.
# caption: Codes of 130 test digits. The circle holds 86 percent of the prior; the number is the share of draws from the
#   prior without a training code within 0.15.
fig, axes = plt.subplots(1, 2, figsize=(7.4, 3.8), layout="constrained")
angle = np.linspace(0, 2 * np.pi, 200)
for ax, (name, code) in zip(axes, codes.items(), strict=True):
    for k in test[:130]:
        ax.text(*code[k], str(labels[k]), color=f"C{labels[k] % 5}", fontsize=7, ha="center", va="center", clip_on=True)
    ax.plot(2 * np.cos(angle), 2 * np.sin(angle), "C1--")
    reach = max(2.6, float(np.quantile(np.abs(code[test]), 0.99)))
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", title=f"{name}, gaps {gaps[name]:.0%}")

# %%
# The decoded plane, and two paths
# --------------------------------


def mosaic(rows):
    """Put images (rows, columns, 8, 8) side by side, with a gap of one pixel that is left empty."""
    down, across = rows.shape[:2]
    bordered = np.pad(rows, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    return bordered.transpose(0, 2, 1, 3).reshape(9 * down, 9 * across)[:-1, :-1]


side = np.linspace(-2, 2, 9).astype(np.float32)
grid = np.stack(np.meshgrid(side, side[::-1]), axis=-1).reshape(-1, 2)
plane = vae_decode(models["variational"], grid).reshape(9, 9, 8, 8)

a, b = (codes["variational"][test][labels[test] == digit].mean(axis=0) for digit in (0, 3))
straight, arc = linear_path(a, b, 9), spherical_path(a, b, 9)
nearest = [np.linalg.norm(path, axis=1).min() for path in (straight, arc)]
assert nearest[0] < nearest[1], "the straight line passes nearer to the origin"
paths = np.stack([vae_decode(models["variational"], path).reshape(9, 8, 8) for path in (straight, arc)])

# alt: A square of 9 by 9 decoded images of 8 by 8 pixels, in which shapes of digits change smoothly into one another
#   from region to region. Below two rows of nine images from a zero to a three, the upper along the straight line, the
#   lower along the arc.
# caption: The plane from −2 to 2 as the decoder sees it, and two paths from the mean code of the zeros to that of the
#   threes: straight above, along the arc below.
fig, (above, below) = plt.subplots(2, 1, figsize=(4.8, 6.2), height_ratios=[9, 2.3], layout="constrained")
for ax, rows, title in ((above, plane, "the decoded plane"), (below, paths, "straight, and along the arc")):
    ax.imshow(mosaic(rows), cmap="cividis", vmin=0, vmax=1, interpolation="none")
    ax.set_title(title, fontsize=10)
    ax.set_axis_off()
