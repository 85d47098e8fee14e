"""The scope, the package, the case tables, the pages and the scripts name the same things; what is missing is named."""

import importlib
import inspect
import tomllib
from pathlib import Path

import numpy as np
import pytest

import dlref
from dlref._arrays import backward_of, integer, number
from tests.cases import public_name, table

ROOT = Path(__file__).parents[1]
TERMS = tomllib.loads((ROOT / "docs" / "terms.toml").read_text("utf-8"))
SLUGS = {term["slug"] for term in TERMS["term"]}
FUNCTIONS = [name for term in TERMS["term"] for name in term["functions"]]
PUBLIC = {
    f"{family}.{name}"
    for family in dlref.__all__
    for name in importlib.import_module(f"dlref.{family}").__all__
    if inspect.isfunction(getattr(importlib.import_module(f"dlref.{family}"), name))
}


def test_every_function_belongs_to_one_term():
    assert len(FUNCTIONS) == len(set(FUNCTIONS)), sorted({f for f in FUNCTIONS if FUNCTIONS.count(f) > 1})
    assert PUBLIC - set(FUNCTIONS) == set(), "in the package, in no term"
    assert set(FUNCTIONS) - PUBLIC == set(), "in docs/terms.toml, not in the package"


def test_every_function_is_judged():
    judged = {case.name for case in table("CASES")}
    judged |= {public_name(backward_of(case.function)) for case in table("CASES") if case.backward}
    judged |= {public_name(function) for proof in table("PROOFS") for function in proof.functions}
    assert PUBLIC - judged == set(), "no oracle judges these"


def test_every_term_has_its_page_and_nothing_else_has_one():
    pages = {path.stem for path in (ROOT / "docs" / "terms").glob("*.md")} - {"index"}
    assert pages == SLUGS


def test_every_term_has_its_script():
    scripts = {path.stem.removeprefix("plot_").replace("_", "-") for path in ROOT.glob("gallery/*/plot_*.py")}
    assert SLUGS - scripts == set(), "no gallery script"


def test_terms_are_numbered_once_and_refer_to_what_exists():
    numbers = [term["n"] for term in TERMS["term"]]
    assert len(numbers) == len(set(numbers))
    known = SLUGS | set(TERMS["planned"])
    assert SLUGS & set(TERMS["planned"]) == set(), "written and still planned"
    assert len(known) == 100
    for term in TERMS["term"]:
        assert set(term.get("needs", ())) <= known, term["slug"]


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_function_is_documented(name):
    family, function = name.split(".")
    member = getattr(importlib.import_module(f"dlref.{family}"), function)
    sections = ["Returns\n", "References\n", "Examples\n", ">>> "]
    if inspect.signature(member).parameters:
        sections.append("Parameters\n")
    for section in sections:
        assert section in member.__doc__, f"{name}: no {section.strip()}"


def members():
    for name in sorted(PUBLIC):
        family, function = name.split(".")
        yield name, getattr(importlib.import_module(f"dlref.{family}"), function)


FLAGS = [
    pytest.param(member, p.name, id=f"{name}-{p.name}")
    for name, member in members()
    for p in inspect.signature(member).parameters.values()
    if p.annotation is bool
]


@pytest.mark.parametrize("value", [np.array([True, False]), "yes", 2], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(("function", "flag"), FLAGS)
def test_what_is_no_flag_is_refused_by_name_before_all_else(function, flag, value):
    required = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    by_name = {p.name: None for p in required if p.kind is p.KEYWORD_ONLY}
    others = [None] * (len(required) - len(by_name))
    with pytest.raises(TypeError, match=f"^{flag}: expected True or False, got {type(value).__name__}$"):
        function(*others, **by_name, **{flag: value})


def test_numbers_beyond_the_machine_are_refused_by_name():
    with pytest.raises(ValueError, match=r"^steps: expected an integer of 64 bits, got one of 100$"):
        integer("steps", 10**30)
    with pytest.raises(ValueError, match=r"^lr: expected a number within float64, got one beyond it$"):
        number("lr", 10**400)
