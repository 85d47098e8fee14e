"""The table of docs/benchmarks.json, which ``nox -s bench`` writes."""

import json
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

COLUMNS = ("function", "size", "dtype", "ours", "peer", "ratio", "measured against")


class Benchmarks(SphinxDirective):
    def run(self):
        path = Path(self.env.srcdir, "benchmarks.json")
        self.env.note_dependency(str(path))
        if not path.exists():
            return [nodes.paragraph(text="Not measured yet.")]
        data = json.loads(path.read_text(encoding="utf-8"))
        versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
        threads = "one thread" if data["threads"] == 1 else f"{data['threads']} threads"
        when = nodes.paragraph(text=f"Measured on {data['date']} on {data['cpu']} with {threads}; {versions}.")
        return [when, table(data["rows"])]


def table(rows):
    group = nodes.tgroup(cols=len(COLUMNS))
    group += [nodes.colspec(colwidth=1) for _ in COLUMNS]
    group += nodes.thead("", row(COLUMNS))
    group += nodes.tbody("", *(row(cells(r)) for r in rows))
    return nodes.table("", group)


def cells(r):
    times = (f"{r[side] / 1000:.3g} ms" if r[side] >= 1000 else f"{r[side]:.3g} µs" for side in ("ours_us", "peer_us"))
    return r["function"], r["size"], r["dtype"], *times, f"{r['ratio']:.2f}", r["peer"]


def row(texts):
    return nodes.row("", *(nodes.entry("", nodes.paragraph(text=text)) for text in texts))


def setup(app):
    app.add_directive("benchmarks", Benchmarks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
