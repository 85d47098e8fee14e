"""Mathematics: rendered while the site is built, refused with KaTeX's words, called by permanent ids."""

import runpy
from pathlib import Path

import pytest
from dlref_site import execution, mathematics

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def render():
    if not (ROOT / "build" / "npm" / "node_modules").exists():
        pytest.skip("the site has not been built: KaTeX is not there")

    def render(tex, display=False, macros=None):
        return mathematics.to_html(tex, display, ROOT, macros or {})

    return render


def test_a_formula_becomes_html_and_mathml(render):
    html = render(r"\frac{a}{b}", display=True)
    assert 'class="katex-display"' in html
    assert "<math" in html
    assert "<mfrac>" in html


@pytest.mark.parametrize("tex", [r"\fracc{1}{2}", r"\frac{1}", "x_1_2", r"\begin{aligned} x", "größe"])
def test_wrong_tex_is_an_error(render, tex):
    with pytest.raises(ValueError, match=r"KaTeX|ParseError|LaTeX"):
        render(tex)


def test_the_macros_of_the_site_render(render):
    macros = runpy.run_path(str(ROOT / "conf.py"))["katex_macros"]
    for name, body in macros.items():
        arguments = "{p}" * max((int(n) for n in "123" if f"#{n}" in body), default=0)
        render(f"x {name}{arguments}", macros=macros)


@pytest.mark.parametrize(
    ("label", "docname", "expected"),
    [
        ("relu.E1", "terms/relu", "E1"),
        ("softmax-function.E12a", "terms/softmax-function", "E12a"),
        ("relu.E1", "terms/softmax-function", None),
        ("area", "notation", None),
        (None, "terms/relu", None),
    ],
)
def test_an_equation_is_anchored_by_its_id(label, docname, expected):
    assert mathematics.anchor(label, docname) == expected


def test_a_page_is_a_notebook_only_if_it_has_cells():
    page = execution.read_page("# T\n\ntext\n\n```{code-cell} python\nx = 1\nx\n```\n")
    assert execution.code_of(page) == "x = 1\nx"
    assert page.metadata["source_map"] == [0, 5]
    plain = execution.read_page("# T\n\n```python\nx\n```\n")
    assert plain.metadata["mystnb"]["execution_mode"] == "off"
