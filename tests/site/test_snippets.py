"""Each snippet of the built site runs when pasted alone, with Numba and without it; each script runs with dlref."""

from pathlib import Path

import pytest
from dlref_site.run_snippets import MODES, Runner, modes_of

SITE = Path(__file__).parents[2] / "build" / "html"
FILES = sorted((SITE / "snippets").glob("*.py"))
RUNS = [pytest.param(file, mode, id=f"{file.stem}-{mode}") for file in FILES for mode in modes_of(file)]


@pytest.fixture(scope="session")
def runners():
    """One warm process for each mode that is asked for."""
    started = {}

    def of(mode):
        if mode not in started:
            started[mode] = Runner(mode)
        return started[mode]

    yield of
    for runner in started.values():
        runner.__exit__()


def test_there_are_snippets():
    assert FILES, "no build/html/snippets: run `nox -s docs` first"


@pytest.mark.parametrize(("file", "mode"), RUNS)
def test_runs_alone(file, mode, runners):
    assert runners(mode).run(file) == ""


@pytest.mark.parametrize("file", [f for f in FILES if "numba" in modes_of(f)], ids=lambda file: file.stem)
def test_says_where_it_comes_from_and_checks_itself(file):
    lines = file.read_text(encoding="utf-8").splitlines()
    assert "dlref" in lines[0]
    assert "BSD-3-Clause" in lines[0]
    assert lines[-1].startswith("assert ")


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("import numba, numpy, math\nassert numba.njit(lambda x: x + 1)(1) == 2", "numba", ""),
        ("try:\n    import numba\n    raise SystemExit(1)\nexcept ImportError:\n    pass", "numpy", ""),
        ("import pytest", "numba", "must not import pytest"),
        ("import dlref", "numba", "must not import dlref"),
        ("assert 1 + 1 == 3", "numpy", "AssertionError"),
        ("import os\nos._exit(3)", "numpy", "ended with 3"),
        ("import numpy\nnumpy.broken = True", "numpy", ""),
        ("import numpy\nassert not hasattr(numpy, 'broken')", "numpy", ""),
        ("print('noise')", "numpy", ""),
    ],
)
def test_the_runner_bites(text, mode, words, tmp_path, runners):
    file = tmp_path / "snippet.py"
    file.write_text(text, encoding="utf-8")
    error = runners(mode).run(file)
    assert words in error
    assert bool(error) == bool(words)


def test_every_mode_is_used():
    assert {mode for name in ("relu.py", "bert_script.py") for mode in modes_of(name)} == set(MODES)
