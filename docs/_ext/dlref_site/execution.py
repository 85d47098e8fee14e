"""Code cells of pages and scripts of the gallery run when, and only when, something that they use has changed.

Pages: before myst-nb looks into its cache (jupyter-cache), this module puts there what is missing. The cells of a page
run in a process forked from one that has imported everything, which takes a third of a second instead of the four
seconds of a Jupyter kernel. A page that fails is left to myst-nb: it runs again in an ordinary kernel and gives the
ordinary error, with page and line.

Scripts: sphinx-gallery skips a script whose .md5 is that of its text. Where the modules behind the script have
changed, the .md5 is taken away first.

The keys are those of `keys`. A file of dlref that a page depends on is noted, too, so that Sphinx reads the page anew.
"""

import contextlib
import importlib.metadata
import json
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from sphinx.util import logging
from sphinx.util.display import status_iterator

from .keys import Keys
from .terms_file import read_terms

logger = logging.getLogger(__name__)

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
SHOWN_VERSIONS = ("numpy", "numba", "llvmlite", "matplotlib", "IPython")


# --- reading ---------------------------------------------------------------------------------------------------------


def read_page(text, extensions=()):
    """Read a page as a notebook; myst-nb would ask for a header on each page that says it is one.

    A page without cells must not be executed: myst-nb would start a kernel for nothing.
    """
    config = MdParserConfig(enable_extensions=set(extensions))
    notebook = read_myst_markdown_notebook(text, config=config, add_source_map=True)
    if any(cell.cell_type == "code" for cell in notebook.cells):
        notebook.metadata["kernelspec"] = nbformat.from_dict(KERNEL)
    else:
        notebook.metadata["mystnb"] = nbformat.from_dict({"execution_mode": "off"})
    return notebook


def code_of(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def note_files(app, docname, source):
    """Let a page depend on the files of dlref behind its cells and behind its term's functions."""
    paths = set()
    if "{code-cell}" in source[0] and Path(app.env.doc2path(docname)).suffix == ".md":
        paths |= _paths_of_code(app, source[0])
    if docname.startswith("terms/"):
        term = read_terms(Path(app.srcdir, "terms.toml")).get(docname.removeprefix("terms/"))
        paths |= set(app.dlref_keys.paths_of(term.functions if term else []))
    if docname.startswith("api/"):
        paths |= set(app.dlref_keys.paths_of([docname.removeprefix("api/")]))
    for path in sorted(paths):
        app.env.note_dependency(str(path))


def _paths_of_code(app, text):
    try:
        return set(app.dlref_keys.paths(code_of(read_page(text, app.config.myst_enable_extensions))))
    except SyntaxError:
        return set()  # running the cell tells


# --- pages -----------------------------------------------------------------------------------------------------------


def run_pages(app, env, docnames):
    """Fill the cache with the pages that are about to be read and are not in it, or are there with an old key."""
    cache = get_cache(env.mystnb_config.execution_cache_path)
    todo = []
    for docname in docnames:
        path = Path(env.doc2path(docname))
        text = path.read_text("utf8")
        if path.suffix != ".md" or "{code-cell}" not in text:
            continue
        notebook = read_page(text, app.config.myst_enable_extensions)
        try:
            key = app.dlref_keys.key(code_of(notebook))
        except SyntaxError:
            continue
        if _cached_key(cache, notebook) != key:
            todo.append((path, notebook, key))
    if todo:
        _run_all(app, cache, todo, env.mystnb_config.execution_timeout)


def _cached_key(cache, notebook):
    """Return the key of a page's cached run; an ordinary kernel leaves none."""
    try:
        record = cache.match_cache_notebook(notebook)
    except KeyError:
        return None
    return record.data.get("key", "")


def _run_all(app, cache, todo, timeout):
    context = warm_context()
    with ThreadPoolExecutor(app.parallel or 1) as pool:
        runs = [pool.submit(run, context, notebook, path.parent, timeout) for path, notebook, key in todo]
        shown = status_iterator(
            zip(todo, runs, strict=True),
            "running cells... ",
            "darkgreen",
            len(runs),
            app.verbosity,
            stringify_func=lambda pair: pair[0][0].stem,
        )
        for (path, notebook, key), future in shown:
            executed, seconds = future.result()
            if executed is None:
                _forget(cache, notebook)  # myst-nb runs it again, for the error
                continue
            bundle = CacheBundleIn(executed, str(path), data={"execution_seconds": seconds, "key": key})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def _forget(cache, notebook):
    with contextlib.suppress(KeyError):
        cache.remove_cache(cache.match_cache_notebook(notebook).pk)


def warm_context():
    """Return a context whose processes start with everything imported, where the system can do that."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")  # Windows: slower, the same result
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dlref_site.shell", "sphinx.cmd.build"])
    return context


def run(context, notebook, folder, timeout):
    """Return the executed notebook and its time; None in its place if a cell failed, it crashed or time ran out."""
    from .shell import run_page

    start = time.perf_counter()
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=run_page, args=(there, notebook, str(folder)), daemon=True)
    child.start()
    there.close()
    succeeded = False
    try:
        if here.poll(timeout):
            succeeded, notebook = here.recv()
    except EOFError:
        pass  # it died
    if not succeeded and child.is_alive():
        child.kill()
    child.join()
    return (notebook if succeeded else None), time.perf_counter() - start


# --- scripts ---------------------------------------------------------------------------------------------------------


def _scripts(app):
    """Yield each script's name, the .md5 that sphinx-gallery leaves beside its page, and its key."""
    gallery = Path(app.confdir, "gallery")
    for script in sorted(gallery.rglob("plot_*.py")):
        name = script.relative_to(gallery).as_posix()
        try:
            key = app.dlref_keys.key(script.read_text("utf8"))
        except SyntaxError:
            continue  # running the script tells
        yield name, Path(app.srcdir, "gallery", f"{name}.md5"), key


def forget_lost_scripts(app):
    """Remove what sphinx-gallery has made of scripts that are gone; it leaves that to us."""
    made = Path(app.srcdir, "gallery")
    for page in made.glob("*/plot_*.rst"):
        script = Path(app.confdir, "gallery", page.parent.name, f"{page.stem}.py")
        if not script.exists():
            image = f"sphx_glr_{page.stem}"
            patterns = (
                f"{page.stem}.*",
                f"images/{page.stem}.json",
                f"images/{image}_[0-9][0-9][0-9].*",
                f"images/thumb/{image}_thumb.*",
            )
            for path in {path for pattern in patterns for path in page.parent.glob(pattern)}:
                path.unlink()


def _known_keys(app):
    return Path(app.confdir, "build", "gallery-keys.json")


def forget_stale_scripts(app):
    known = _known_keys(app)
    keys = json.loads(known.read_text("utf8")) if known.exists() else {}
    for name, md5, key in _scripts(app):
        if keys.get(name) != key:
            md5.unlink(missing_ok=True)
        if not md5.exists():
            # A thumbnail that says "broken" would outlive the repair: it is a PNG, and sphinx-gallery prefers those.
            for thumbnail in md5.parent.glob(f"images/thumb/sphx_glr_{Path(name).stem}_thumb.*"):
                thumbnail.unlink()


def remember_scripts(app, error):
    """Write the keys of the scripts that have run: sphinx-gallery writes an .md5 after success only."""
    keys = {name: key for name, md5, key in _scripts(app) if md5.exists()}
    known = _known_keys(app)
    known.parent.mkdir(parents=True, exist_ok=True)
    known.write_text(json.dumps(keys, indent=1) + "\n", "utf8")


# --- the whole build -------------------------------------------------------------------------------------------------


def note_versions(app, config):
    """A new NumPy changes outputs but no file: let every page be read again."""
    config.dlref_versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in SHOWN_VERSIONS)


def start(app):
    app.dlref_keys = Keys(Path(app.confdir, "src"))


def leave_no_trace_of_warnings(app, error):
    """Sphinx would not read a page again that has warned, and the next build would pass: make it read all."""
    if error or app._warncount:
        Path(app.doctreedir, "environment.pickle").unlink(missing_ok=True)


def setup(app):
    app.add_config_value("dlref_versions", "", "env")
    app.connect("config-inited", note_versions)
    app.connect("builder-inited", start, priority=300)
    app.connect("builder-inited", forget_lost_scripts, priority=400)  # sphinx-gallery: 500
    app.connect("builder-inited", forget_stale_scripts, priority=400)
    app.connect("source-read", note_files)
    app.connect("env-before-read-docs", run_pages)
    app.connect("build-finished", remember_scripts)
    app.connect("build-finished", leave_no_trace_of_warnings, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
