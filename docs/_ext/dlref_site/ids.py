"""docs/ids.txt: the permanent ids of definitions and equations. It may only grow.

python docs/_ext/dlref_site/ids.py --add        # after writing a definition or an equation
python docs/_ext/dlref_site/ids.py --add relu   # of this page alone
"""

import argparse
import re
from pathlib import Path

IN_PAGE = re.compile(
    r"^\s*[:`]{3,}\{definition\}\s+(?P<definition>\S+)"  # :::{definition} relu.D1
    r"|\$\$\s*\((?P<equation>[^()\s]+)\)\s*$"  # $$ ... $$ (relu.E1)
    r"|^:label:\s*(?P<label>\S+)",  # of a {math} directive
    re.M,
)
HEAD = "# Permanent ids of definitions (D) and equations (E). Only ever add: docs/_ext/dlref_site/ids.py --add\n"
COMMAND = "python docs/_ext/dlref_site/ids.py --add"


def order(name):
    """Sort by page, then by letter and number: relu.D1, relu.E2, relu.E10."""
    page, _, anchor = name.rpartition(".")
    number = re.search(r"\d+", anchor)
    return page, anchor[:1], int(number[0]) if number else 0, anchor


def read_ids(path):
    """Return id -> line of the file."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line.strip(): i for i, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")}


def ids_in(text):
    """Return the ids of a page, in order."""
    return [match["definition"] or match["equation"] or match["label"] for match in IN_PAGE.finditer(text)]


def add_ids(docs, slugs=()):
    """Add to docs/ids.txt what the pages use and the file lacks; return what was added."""
    path = docs / "ids.txt"
    known = read_ids(path)
    pages = [page for page in sorted((docs / "terms").glob("*.md")) if not slugs or page.stem in slugs]
    used = [name for page in pages for name in ids_in(page.read_text(encoding="utf-8"))]
    new = [name for name in dict.fromkeys(used) if name not in known]
    if new:
        lines = sorted({*known, *new}, key=order)
        path.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    return new


def check(app, env):
    """Every id is used once and listed, and every listed id is still there."""
    from sphinx.util import logging

    from .facts import all_facts

    logger = logging.getLogger(__name__)
    path = Path(env.srcdir) / "ids.txt"
    listed, seen = read_ids(path), {}
    for docname, facts in sorted(all_facts(env).items()):
        for item in [*facts.definitions, *facts.equations]:
            name, where = item["id"], (docname, item["line"])
            if name in seen:
                message = "%s is taken, on the page %s"
                logger.warning(message, name, seen[name], location=where, type="dlref", subtype="ids")
            elif name not in listed:
                message = "%s is not in docs/ids.txt; add it: %s"
                logger.warning(message, name, COMMAND, location=where, type="dlref", subtype="ids")
            seen.setdefault(name, docname)
    for name, line in listed.items():
        if name not in seen:
            message = "%s is listed but on no page: ids are permanent, others may cite them"
            logger.warning(message, name, location=f"{path}:{line}", type="dlref", subtype="ids")


def setup(app):
    app.setup_extension("dlref_site.facts")
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main():
    parser = argparse.ArgumentParser(description="Show the ids that docs/ids.txt lacks, or add them.")
    parser.add_argument("slugs", nargs="*", metavar="slug", help="pages to look at; without one, all")
    parser.add_argument("--add", action="store_true", help="add them to docs/ids.txt")
    parser.add_argument("--docs", type=Path, default=Path(__file__).resolve().parents[2])
    arguments = parser.parse_args()
    if arguments.add:
        print(*add_ids(arguments.docs, arguments.slugs), sep="\n")
        return
    known = read_ids(arguments.docs / "ids.txt")
    for page in sorted((arguments.docs / "terms").glob("*.md")):
        if not arguments.slugs or page.stem in arguments.slugs:
            print(*(name for name in ids_in(page.read_text(encoding="utf-8")) if name not in known), sep="\n")


if __name__ == "__main__":
    main()
