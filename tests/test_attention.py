"""What attention promises beyond the contract: weights, order, memory, and the tape."""

import tracemalloc

import numpy as np
import pytest

from dlref.autodiff import check_gradient
from dlref.layers import attention_weights, multi_head_attention, online_attention, online_attention_backward


def test_weights_sum_to_one(rng):
    p = attention_weights(rng.normal(size=(3, 5, 4)), rng.normal(size=(3, 7, 4)), causal=True)
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-15)
    assert np.all(np.triu(p[0], 1) == 0)


def test_self_attention_without_positions_is_equivariant_to_order(rng):
    x, w_in, w_out = rng.normal(size=(2, 7, 6)), rng.normal(size=(18, 6)), rng.normal(size=(6, 6))
    order = rng.permutation(7)
    y, moved = (multi_head_attention(s, s, s, w_in, w_out, heads=3) for s in (x, x[:, order]))
    np.testing.assert_allclose(moved, y[:, order], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backward", [False, True])
def test_memory_of_the_online_form_grows_with_the_length(rng, backward):
    def peak(steps):
        q, k, v = rng.normal(size=(3, steps, 2)).astype(np.float32)
        tracemalloc.start()
        if backward:
            online_attention_backward(v, q, k, v)
        else:
            online_attention(q, k, v)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)
    short, long = peak(2048), peak(8192)
    assert long < 4 * short and long < 8192**2, (short, long)  # the matrix alone would have 4 * 8192**2 bytes


def test_the_tape_adds_the_three_uses_of_self_attention(rng):
    x, w_in, w_out = rng.normal(size=(1, 4, 6)), rng.normal(size=(18, 6)), rng.normal(size=(6, 6))

    def loss(x):
        y = multi_head_attention(x, x, x, w_in, w_out, heads=2)
        return np.sum(y * y)

    assert check_gradient(loss, x, rng=rng) < 1e-7
