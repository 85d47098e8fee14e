"""The child's side of `execution`: run the cells of one page, without a Jupyter kernel around them.

The process that forks the children imports this module first, so everything below is imported once per build.
"""

import contextlib
import importlib
import io
import os
import random
import warnings

import matplotlib.pyplot as plt  # noqa: F401 - imported before the fork
import numpy as np
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from matplotlib_inline import backend_inline  # noqa: F401
from nbformat.v4 import new_output
from numba.np.ufunc import parallel
from traitlets import Type
from traitlets.config import Config

from . import figures

outputs = []  # of the cell that runs


class Stream(io.TextIOBase):
    """Standard output or error, kept in order with what is displayed."""

    def __init__(self, name):
        self._name = name

    def write(self, text):
        if outputs and outputs[-1].get("name") == self._name:
            outputs[-1]["text"] += text
        else:
            outputs.append(new_output("stream", name=self._name, text=text))
        return len(text)


class Publisher(DisplayPublisher):
    def publish(self, data, metadata=None, **kwargs):
        outputs.append(new_output("display_data", data, metadata=metadata or {}))


class Hook(DisplayHook):
    def write_output_prompt(self):
        pass

    def finish_displayhook(self):
        pass

    def write_format_data(self, data, metadata=None):
        outputs.append(new_output("execute_result", data, metadata=metadata or {}, execution_count=self.prompt_count))


class Shell(InteractiveShell):
    displayhook_class = Type(Hook)
    display_pub_class = Type(Publisher)

    def enable_gui(self, gui=None):
        pass

    def _showtraceback(self, etype, evalue, stb):
        outputs.append(new_output("error", ename=etype.__name__, evalue=str(evalue), traceback=stb))


def import_package():
    """Import the families once, before the fork; a broken one shows its error in the page that needs it."""
    try:
        import dlref
    except Exception:
        return
    for family in dlref.__all__:
        with contextlib.suppress(Exception):
            importlib.import_module(f"dlref.{family}")


def new_shell():
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.xmode = "Minimal"  # an error that a page shows on purpose is its last line
    config.InlineBackend.figure_formats = {"svg"}
    config.InlineBackend.print_figure_kwargs = {"bbox_inches": None, "metadata": {"Date": None}}
    shell = Shell.instance(config=config)
    shell.enable_matplotlib("inline")
    return shell


def run_page(pipe, notebook, folder):
    """Run a page's cells and send back whether all succeeded, and the notebook with its outputs."""
    # A fork after a parallel kernel would die in the next one; nothing may run kernels at import.
    assert not parallel._is_initialized, "a parallel kernel ran before the fork"
    os.chdir(folder)
    shell = new_shell()
    figures.style()
    # A warning without the file name that IPython invents for the cell, another one in every run.
    warnings.formatwarning = lambda message, category, *rest: f"{category.__name__}: {message}\n"
    # The state would otherwise come from the common parent: the same by accident instead of on purpose.
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    succeeded = all(_run_cell(shell, cell) for cell in notebook.cells if cell.cell_type == "code")
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    pipe.send((succeeded, notebook))
    pipe.close()


def _run_cell(shell, cell):
    tags = cell.metadata.get("tags", [])
    if "skip-execution" in tags:
        return True
    outputs.clear()
    with contextlib.redirect_stdout(Stream("stdout")), contextlib.redirect_stderr(Stream("stderr")):
        result = shell.run_cell(cell.source, store_history=True)
    cell.outputs = list(outputs)
    cell.execution_count = shell.execution_count - 1
    return result.success or "raises-exception" in tags


import_package()
