"""docs/terms.toml: one entry per term. Plain Python, used by the site and by tests."""

import functools
import hashlib
import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

SECTIONS = {
    "definition": "Definition",
    "backward": "Backward",
    "code": "Code",
    "disagree": "Where people disagree",
    "checked": "Checked and cited",
}
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
KINDS = {
    "n": int,
    "slug": str,
    "title": str,
    "family": str,
    "functions": list,
    "aliases": list,
    "confused": dict,
    "needs": list,
    "absent": dict,
}
REQUIRED = ("n", "slug", "title", "family", "functions")


@dataclass(frozen=True)
class Term:
    """One entry."""

    n: int
    slug: str
    title: str
    family: str
    functions: list
    aliases: list = field(default_factory=list)
    confused: dict = field(default_factory=dict)
    needs: list = field(default_factory=list)
    absent: dict = field(default_factory=dict)

    @property
    def name(self):
        """The title as it reads inside a sentence, without the long form in parentheses."""
        return re.sub(r"\s*\([^()]*\)$", "", self.title)


class Terms:
    """All entries, by slug, in the order of their titles."""

    def __init__(self, path, entries, planned):
        self.path, self.entries, self.planned = path, entries, set(planned)
        complete = [Term(**e) for e in entries if all(k in e for k in REQUIRED) and not set(e) - set(KINDS)]
        self._terms = {t.slug: t for t in sorted(complete, key=lambda t: t.title.lower())}

    def __iter__(self):
        return iter(self._terms.values())

    def __contains__(self, slug):
        return slug in self._terms

    def get(self, slug):
        return self._terms.get(slug)

    def knows(self, slug):
        return slug in self._terms or slug in self.planned

    def name(self, slug):
        term = self.get(slug)
        return term.name if term else slug.replace("-", " ")

    def next_after(self, slug):
        """Return the slugs of the terms that need this one."""
        return [term.slug for term in self if slug in term.needs]

    def line(self, slug):
        """Return the line of an entry's slug in the file, for messages."""
        pattern = re.compile(rf"\s*slug\s*=\s*[\"']{re.escape(slug)}[\"']")
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return next((i for i, line in enumerate(lines, 1) if pattern.match(line)), 1)

    def fingerprint(self, slug, links):
        """Return a hash of everything that a page shows of this file, so that it is read again when that changes."""
        seen = {other: (self.name(other), other in self) for other in sorted({*links, *self.next_after(slug)})}
        entry = next((e for e in self.entries if e.get("slug") == slug), None)
        text = json.dumps([entry, seen, sorted(self.next_after(slug))], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def problems(self, package):
        """Yield (line, message) for everything that is wrong in the file."""
        yield from self._field_problems()
        owners, public, families = {}, package.public(), package.families()
        for term in self:
            line = self.line(term.slug)
            if term.slug in self.planned:
                yield line, f"{term.slug} is written: take it out of planned"
            if term.family not in families:
                yield line, f"{term.slug}: the package has no family {term.family}"
            for function in term.functions:
                if function not in public:
                    yield line, f"{term.slug}: the package has no public function {function}"
                if owners.setdefault(function, term.slug) != term.slug:
                    yield line, f"{term.slug}: {function} belongs to {owners[function]} already"
            for need in term.needs:
                if not self.knows(need) or need == term.slug:
                    yield line, f"{term.slug} needs {need}, which is no other term"
            for section in set(term.absent) - set(SECTIONS):
                yield line, f"{term.slug}: absent names {section}; the sections are {', '.join(SECTIONS)}"
            if self._needs_itself(term.slug):
                yield line, f"{term.slug} needs itself, by way of what it needs"

    def _field_problems(self):
        slugs, numbers = set(), set()
        for entry in self.entries:
            slug = entry.get("slug", "")
            line = self.line(slug)
            if not SLUG.fullmatch(slug):
                yield line, f"a term has the slug {slug!r}; a slug is lower-case words with hyphens"
            for key in REQUIRED:
                if key not in entry:
                    yield line, f"{slug} has no {key}"
            for key, value in entry.items():
                if key not in KINDS:
                    yield line, f"{slug}: there is no field {key}"
                elif type(value) is not KINDS[key]:
                    yield line, f"{slug}: {key} is not a {KINDS[key].__name__}"
            if slug in slugs:
                yield line, f"{slug} has two entries"
            if entry.get("n") in numbers:
                yield line, f"{slug}: number {entry['n']} is taken"
            slugs.add(slug)
            numbers.add(entry.get("n"))

    def _needs_itself(self, slug):
        todo, seen = list(self.get(slug).needs), set()
        while todo:
            need = todo.pop()
            if need == slug:
                return True
            if need in self and need not in seen:
                seen.add(need)
                todo += self.get(need).needs
        return False


def read_terms(path):
    """Return the terms of a file, parsed once for each state of the file."""
    path = Path(path)
    return _read_terms(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _read_terms(path, _mtime):
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return Terms(path, data.get("term", []), data.get("planned", []))
