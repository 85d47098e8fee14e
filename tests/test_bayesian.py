"""Sampling from densities whose trajectories run away."""

import numpy as np

from dlref.models import hamiltonian_draws


def test_a_trajectory_that_left_the_numbers_is_refused():
    def steep(w):
        with np.errstate(over="ignore", invalid="ignore"):
            return -np.sum(w**4), -4 * w**3

    with np.errstate(over="ignore", invalid="ignore"):
        found = hamiltonian_draws(steep, [1.0], np.random.default_rng(0), 0.5, 20, 500)
    assert np.isfinite(found.draws).all()
    assert np.isnan(found.errors).any(), "nothing was put to the test"
