"""Run each snippet of the built site alone, with Numba and without it.

    python docs/_ext/dlref_site/run_snippets.py build/html/snippets

A snippet promises to need nothing but NumPy and, if it is there, Numba. Each one therefore runs in a process forked
from one that has imported only these two, where importing anything else but the standard library fails; then again
where importing Numba fails as well. A script (`*_script.py`) needs dlref and runs once, with whatever is installed.
Where a process cannot be forked, each one starts afresh. Plain Python.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
import traceback
from multiprocessing.connection import wait
from pathlib import Path

SECONDS = 120
NUMBA = ("numba", "llvmlite")
MODES = {"numba": ("numpy", *NUMBA), "numpy": ("numpy",), "script": None}  # what may be imported; None: everything


class Gate:
    """Refuses every import outside of the standard library and a few packages."""

    def __init__(self, allowed):
        self.allowed = {*allowed, *sys.stdlib_module_names, "__main__"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.allowed:
            raise ImportError(f"a snippet must not import {name}", name=name)


def run_file(path):
    """Execute a file as the main program; return "" or the traceback."""
    try:
        code = compile(Path(path).read_text(encoding="utf-8"), str(path), "exec")
        exec(code, {"__name__": "__main__", "__file__": str(path)})
    except BaseException:
        return traceback.format_exc()
    return ""


def prepare(mode):
    """Import what snippets may use, then close the gate."""
    allowed = MODES[mode]
    if allowed is None:
        return
    for name in allowed:
        if name != "llvmlite":
            __import__(name)
    sys.meta_path.insert(0, Gate(allowed))


def in_child(path, pipe):
    # What a snippet prints would mix with the report.
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process
    pipe.send(run_file(path))
    pipe.close()


def run_all(paths, mode, jobs=1):
    """Return path -> "" or what went wrong, from a process that is `prepare`d."""
    if "fork" not in multiprocessing.get_all_start_methods():
        return {path: _run_afresh(path, mode) for path in paths}
    context = multiprocessing.get_context("fork")
    todo, running, results = list(paths), {}, {}
    while todo or running:
        while todo and len(running) < jobs:
            path = todo.pop(0)
            here, there = context.Pipe(duplex=False)
            child = context.Process(target=in_child, args=(path, there))
            child.start()
            there.close()
            running[here] = path, child, time.monotonic() + SECONDS
        for pipe in wait(list(running), timeout=1.0):
            path, child, _ = running.pop(pipe)
            try:
                results[path] = pipe.recv()
            except EOFError:
                child.join()
                results[path] = f"the process ended with {child.exitcode}"
            child.join()
        for pipe, (path, child, end) in list(running.items()):
            if time.monotonic() > end:
                child.kill()
                child.join()
                del running[pipe]
                results[path] = f"not done after {SECONDS} seconds"
    return results


def _run_afresh(path, mode):
    command = [sys.executable, "-I", __file__, "--mode", mode, "--one", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"not done after {SECONDS} seconds"
    return done.stderr if done.returncode else ""


def modes_of(path):
    return ["script"] if Path(path).stem.endswith("_script") else ["numba", "numpy"]


def run_in_fresh_processes(paths, jobs=1):
    """Return (path, mode) -> "" or what went wrong; each mode has a process of its own, where nothing was imported."""
    results = {}
    for mode in MODES:
        chosen = [str(path) for path in paths if mode in modes_of(path)]
        if not chosen:
            continue
        command = [sys.executable, "-I", __file__, "--mode", mode, "--jobs", str(jobs), "--json", *chosen]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        results.update({(path, mode): error for path, error in json.loads(done.stdout).items()})
    return results


def main():
    parser = argparse.ArgumentParser(description="Run the snippets of the built site, each one alone.")
    parser.add_argument("paths", nargs="*", type=Path, help="files, or folders of files")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--mode", choices=MODES, help="how this very process runs its files")
    parser.add_argument("--json", action="store_true", help="report as JSON")
    parser.add_argument("--one", type=Path, help="run this file, here")
    arguments = parser.parse_args()
    if arguments.one:
        prepare(arguments.mode)
        error = run_file(arguments.one)
        sys.exit(error)
    files = [f for path in arguments.paths for f in (sorted(path.glob("*.py")) if path.is_dir() else [path])]
    if arguments.mode:
        prepare(arguments.mode)
        print(json.dumps(run_all([str(file) for file in files], arguments.mode, arguments.jobs)))
        return
    results = run_in_fresh_processes(files, arguments.jobs)
    failed = {key: error for key, error in results.items() if error}
    for (path, mode), error in failed.items():
        print(f"{path}, {mode}:\n{error}", file=sys.stderr)
    print(f"{len(results) - len(failed)} of {len(results)} runs passed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
