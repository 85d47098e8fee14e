"""Kernels give the same bits serially, on one thread and on two."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SHARES = 8  # processes, each with a share of the modules: together they would be the longest test by far


@pytest.mark.parametrize("share", range(SHARES))
def test_the_bits_do_not_depend_on_the_threads(share):
    # In processes of their own: the other tests run with one thread, where no threaded form is made.
    ran = subprocess.run(
        [sys.executable, "-c", f"from tests.test_threads import compare; compare({share})"],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"NUMBA_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout.split()[0]) > 9, f"nearly nothing was compared: {ran.stdout}"


def compare(share):
    """Call the first case of every function in each form of its threaded kernels, and compare the bytes."""
    import numba

    from dlref._arrays import backward_of
    from tests.cases import table
    from tests.oracles import flatten
    from tests.test_contract import _cotangent

    compared, functions = 0, {case.function: case for case in reversed(table("CASES"))}
    modules = sorted({function.__module__ for function in functions})[share::SHARES]
    for function, case in functions.items():
        if function.__module__ not in modules:
            continue
        module = sys.modules[function.__module__]
        kernels = {name: value for name, value in vars(module).items() if hasattr(value, "threaded")}
        if not kernels:
            continue
        args, seen = case.args(np.random.default_rng(0)), set()
        for form, threads in (("serial", 1), ("threaded", 1), ("threaded", 2)):
            numba.set_num_threads(threads)
            for name, kernel in kernels.items():
                setattr(module, name, getattr(kernel, form))
            results = [function(*args, **case.kwargs)]
            if case.backward is not None:
                dy = _cotangent(results[0], np.random.default_rng(1))
                results.append(backward_of(function)(dy, *args, **case.kwargs))
            seen.add(b"".join(np.asarray(r).tobytes() for r in flatten(results) if r is not None))
        for name, kernel in kernels.items():
            setattr(module, name, kernel)
        assert len(seen) == 1, f"{case}: the forms differ"
        compared += 1
    print(compared, "functions")
