"""How Sphinx builds the site.

``python -m sphinx -c . docs build/html -d build/doctrees -W -n -j 2`` from this folder; ``nox -s docs`` does that after
the tests. This file lies beside docs/ and not in it, so that addresses begin with terms/ and not with docs/terms/.
Paths in Sphinx's own settings are relative to this file, those of sphinx-gallery to docs/.
"""

import importlib.metadata
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent
FAMILIES = [
    "activations",
    "losses",
    "optimizers",
    "schedules",
    "layers",
    "metrics",
    "data",
    "autodiff",
    "training",
    "models",
]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))

from digest import package_digest  # noqa: E402 - found through the line above

# Numba's disk cache does not see a change in another file of the package: one cache per state of the source.
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / "build" / "numba" / package_digest(ROOT)))

# --- the project -----------------------------------------------------------------------------------------------------

project = "dlref"
author = "The dlref developers"
copyright = author
version = release = importlib.metadata.version("dlref")
language = "en"

# The site's address, from the machine that hosts it. Without one, links are relative and there is no sitemap.
html_baseurl = os.environ.get("DLREF_BASE_URL") or os.environ.get("READTHEDOCS_CANONICAL_URL", "")
if html_baseurl and not html_baseurl.endswith("/"):
    html_baseurl += "/"

# --- what is read ----------------------------------------------------------------------------------------------------

extensions = [
    "dlref_site",
    "myst_nb",
    "sphinx_gallery.gen_gallery",
    "sphinx.ext.autodoc",
    "numpydoc",
    "sphinxcontrib.bibtex",
    "sphinx_copybutton",
    "notfound.extension",
]
if html_baseurl:
    extensions.append("sphinx_sitemap")

exclude_patterns = [
    "_ext",
    "_static",
    "_templates",
    "decisions",  # for developers
    "gallery/**/*.ipynb",  # for download; myst-nb would run each script a second time
    "gallery/**/GALLERY_HEADER.rst",
]
nitpicky = True  # a reference that leads nowhere is a warning, and a warning an error

# --- Markdown and code cells -----------------------------------------------------------------------------------------

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 2  # [](#backward) within a page

# Every page may have code cells, without a header that says so.
nb_custom_formats = {".md": ["dlref_site.execution.read_page", {"extensions": myst_enable_extensions}]}
nb_execution_mode = "cache"
nb_execution_cache_path = str(ROOT / "build" / "jupyter_cache")  # outlives the doctrees
nb_execution_timeout = 60
nb_execution_show_tb = True
nb_merge_streams = True
nb_ipywidgets_js = {}  # they would come from another host

# --- mathematics -----------------------------------------------------------------------------------------------------

html_math_renderer = "katex"
# The site's own TeX commands, in docs/notation.md; everything else is plain LaTeX.
katex_macros = {
    r"\R": r"\mathbb{R}",
    r"\N": r"\mathbb{N}",
    r"\Z": r"\mathbb{Z}",
    r"\E": r"\mathbb{E}",
    r"\P": r"\mathbb{P}",
    r"\Var": r"\operatorname{Var}",
    r"\Cov": r"\operatorname{Cov}",
    r"\KL": r"D_{\mathrm{KL}}\left(#1\,\middle\|\,#2\right)",
    r"\diag": r"\operatorname{diag}",
    r"\tr": r"\operatorname{tr}",
    r"\sign": r"\operatorname{sign}",
    r"\softmax": r"\operatorname{softmax}",
    r"\relu": r"\operatorname{ReLU}",
    r"\erf": r"\operatorname{erf}",
    r"\argmax": r"\operatorname*{arg\,max}",
    r"\argmin": r"\operatorname*{arg\,min}",
    r"\T": r"^{\mathsf{T}}",
    r"\abs": r"\left|#1\right|",
    r"\norm": r"\left\lVert#1\right\rVert",
    r"\bm": r"\boldsymbol{#1}",
}

# --- figures ---------------------------------------------------------------------------------------------------------

# Strings and not functions, because Sphinx compares settings between builds.
sphinx_gallery_conf = {
    "examples_dirs": "../gallery",
    "gallery_dirs": "gallery",
    "image_scrapers": ("dlref_site.figures.scraper",),
    "reset_modules": ("dlref_site.figures.reset",),
    "capture_repr": (),
    "backreferences_dir": None,
    "parallel": True,  # as many scripts at a time as -j says
    "subsection_order": [f"../gallery/{family}" for family in FAMILIES],
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    # Times differ from run to run and would change every page.
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "junit": "../gallery.xml",  # `nox -s docs` names the slowest from here
}

# --- functions and sources -------------------------------------------------------------------------------------------

autodoc_member_order = "groupwise"
autodoc_typehints = "none"  # numpydoc's Parameters say it in words
numpydoc_show_class_members = False
add_module_names = False

bibtex_bibfiles = ["docs/references.bib"]
bibtex_reference_style = "author_year"

# --- HTML ------------------------------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"dlref {release}"
# build/assets: KaTeX, typefaces and the figures' colors, put there when the build begins.
(ROOT / "build" / "assets").mkdir(parents=True, exist_ok=True)
html_static_path = ["docs/_static", "build/assets"]
html_css_files = ["dlref.css"]
html_js_files = [("dlref.js", {"defer": "defer"})]
html_permalinks_icon = "#"
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it would be fetched, which a browser refuses for files
html_show_sphinx = True
html_domain_indices = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "github-dark"
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#1f5673",
        "color-brand-content": "#12608a",
        "color-brand-visited": "#12608a",
        "color-foreground-primary": "#1c2126",
        "color-background-secondary": "#f7f8f9",
        "color-background-border": "#e4e7ea",
        "color-code-background": "#f7f8f9",
        "color-inline-code-background": "#f1f3f5",
    },
    "dark_css_variables": {
        "color-brand-primary": "#9ccbe8",
        "color-brand-content": "#7cbfe8",
        "color-brand-visited": "#7cbfe8",
        "color-foreground-primary": "#d9dde1",
        "color-background-primary": "#131416",
        "color-background-secondary": "#1a1c1f",
        "color-background-border": "#2c3035",
        "color-code-background": "#1a1c1f",
        "color-inline-code-background": "#22252a",
    },
}
copybutton_selector = "div:not(.no-copybutton):not(.output) > div > div.highlight pre"
copybutton_exclude = ".linenos, .gp, .go"
# A page that is not found may be asked for from any folder: its links begin at the site's own root.
notfound_urls_prefix = urlsplit(html_baseurl).path or "/"
sitemap_url_scheme = "{link}"  # no language, no version: the address has them
