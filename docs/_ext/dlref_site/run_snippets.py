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
import traceback
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
    # What a snippet prints would mix with the answers.
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process
    pipe.send(run_file(path))
    pipe.close()


def run_forked(path):
    """Run a file in a fork of this process; return "" or what went wrong."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=in_child, args=(path, there))
    child.start()
    there.close()
    try:
        result = here.recv() if here.poll(SECONDS) else f"not done after {SECONDS} seconds"
    except EOFError:
        child.join()
        result = f"the process ended with {child.exitcode}"
    child.kill()
    child.join()
    return result


def run_afresh(path, mode):
    """Run a file in a new process, where processes cannot be forked."""
    command = [sys.executable, "-I", __file__, "--mode", mode, "--one", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"not done after {SECONDS} seconds"
    return done.stderr if done.returncode else ""


def serve(mode):
    """Answer each path on a line of the input with the result, as JSON on a line of the output."""
    forks = "fork" in multiprocessing.get_all_start_methods()
    if forks:
        prepare(mode)
    for line in sys.stdin:
        path = line.rstrip("\n")
        print(json.dumps(run_forked(path) if forks else run_afresh(path, mode)), flush=True)


class Runner:
    """A process of its own that has imported what one mode allows, and runs files in forks of itself."""

    def __init__(self, mode):
        command = [sys.executable, "-I", __file__, "--mode", mode]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, path):
        """Return "" or what went wrong."""
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        return json.loads(answer) if answer else "the process that runs snippets has died"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def modes_of(path):
    return ["script"] if Path(path).stem.endswith("_script") else ["numba", "numpy"]


def main():
    parser = argparse.ArgumentParser(description="Run the snippets of the built site, each one alone.")
    parser.add_argument("paths", nargs="*", type=Path, help="files, or folders of files")
    parser.add_argument("--mode", choices=MODES, help="run the files whose names come in, one on a line")
    parser.add_argument("--one", type=Path, help="with --mode: run this file, here")
    arguments = parser.parse_args()
    if arguments.one:
        prepare(arguments.mode)
        sys.exit(run_file(arguments.one))
    if arguments.mode:
        serve(arguments.mode)
        return
    files = [f for path in arguments.paths for f in (sorted(path.glob("*.py")) if path.is_dir() else [path])]
    runs = failed = 0
    for mode in MODES:
        with Runner(mode) as runner:
            for file in (file for file in files if mode in modes_of(file)):
                error = runner.run(file)
                runs, failed = runs + 1, failed + bool(error)
                print(f"{file}, {mode}: {error or 'passed'}")
    print(f"{runs - failed} of {runs} runs passed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
