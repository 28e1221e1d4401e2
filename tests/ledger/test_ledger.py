"""The ledger is complete, every row has its test, and the page shows the table as it is."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from rmt_jacobian.derive import LEDGER, ledger_markdown
from tests.ledger.verdicts import PAGE

FILES = {
    "Chen2018": "test_chen2018_*.py",
    "Can2020": "test_can2020_*.py",
    "": "test_gated.py",  # our own results
}


def names_of_tests(paper):
    return {
        node.name
        for path in Path(__file__).parent.glob(FILES[paper])
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def rows_of(paper):
    return [entry for entry in LEDGER if entry.paper == paper]


def test_name(equation):
    """(12a) is tested by test_equation_12a, Algorithm 1 by test_algorithm_1."""
    name = f"equation {equation}" if equation.startswith("(") else equation
    return "test_" + re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


test_name.__test__ = False


def resolve(dotted):
    """Import the longest prefix that is a module and take attributes from there."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            fields = getattr(found, "__dataclass_fields__", {})
            found = fields[name] if name in fields else getattr(found, name)
        return found
    raise ModuleNotFoundError(dotted)


def tables_on_page():
    return re.findall(
        r"^% table begins\n\n(.*?\n)\n% table ends$",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )


def test_every_source_has_its_files():
    assert {entry.paper for entry in LEDGER} == set(FILES)


@pytest.mark.parametrize("paper", FILES)
def test_every_row_has_a_test_and_every_test_a_row(paper):
    names = [test_name(entry.equation) for entry in rows_of(paper)]
    assert len(set(names)) == len(names)
    assert set(names) == names_of_tests(paper)


def test_every_numbered_equation_has_a_row():
    numbers = {int(n) for e in rows_of("Chen2018") for n in re.findall(r"^\((\d+)", e.equation)}
    assert numbers == set(range(1, 41))
    assert "Algorithm 1" in {entry.equation for entry in LEDGER}


@pytest.mark.parametrize("entry", LEDGER, ids=lambda entry: f"{entry.paper} {entry.equation}")
def test_row(entry):
    assert entry.function.startswith("rmt_jacobian.")
    assert resolve(entry.function) is not None
    assert entry.verdict in {"holds", "slip", "definition"}
    for text in (entry.statement, entry.check, entry.correction):
        assert text.count("$") % 2 == 0
        assert "\n" not in text
    if entry.verdict == "slip":
        assert entry.correction


def test_page_shows_these_tables():
    """After a change of a row, put ``ledger_markdown`` of its source between the marks."""
    assert tables_on_page() == [ledger_markdown(rows_of(paper)) for paper in FILES]


def test_page_has_a_section_for_every_slip():
    page = PAGE.read_text(encoding="utf-8")
    headings = {
        "Chen2018": " ".join(re.findall(r"^## (.*)$", page, re.MULTILINE)),
        "Can2020": " ".join(re.findall(r"^### (.*)$", page, re.MULTILINE)),
    }
    for entry in LEDGER:
        if entry.verdict == "slip":
            number = re.sub(r"[a-d]?\)$", ")", entry.equation).removesuffix(", domain")
            assert number in headings[entry.paper], entry.equation
