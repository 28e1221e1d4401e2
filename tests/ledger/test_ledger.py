"""The ledger is complete, every row has its test, and the page shows the table as it is."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from rmt_jacobian.derive import LEDGER, ledger_markdown
from tests.ledger.verdicts import PAGE

TESTS = {
    node.name
    for path in Path(__file__).parent.glob("test_chen2018_*.py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
}


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


def table_on_page():
    _, table, _ = re.split(r"^% table .*\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return table.strip() + "\n"


def test_every_row_has_a_test_and_every_test_a_row():
    names = [test_name(entry.equation) for entry in LEDGER]
    assert len(set(names)) == len(names)
    assert set(names) == TESTS


def test_every_numbered_equation_has_a_row():
    numbers = {int(found) for e in LEDGER for found in re.findall(r"^\((\d+)", e.equation)}
    assert numbers == set(range(1, 41))
    assert "Algorithm 1" in {entry.equation for entry in LEDGER}


@pytest.mark.parametrize("entry", LEDGER, ids=lambda entry: entry.equation)
def test_row(entry):
    assert entry.function.startswith("rmt_jacobian.")
    assert resolve(entry.function) is not None
    assert entry.verdict in {"holds", "slip", "definition"}
    for text in (entry.statement, entry.check, entry.correction):
        assert text.count("$") % 2 == 0
        assert "\n" not in text
    if entry.verdict == "slip":
        assert entry.correction


def test_page_shows_this_table():
    """After a change of a row, put ``ledger_markdown(LEDGER)`` between the marks of the page."""
    assert table_on_page() == ledger_markdown(LEDGER)


def test_page_has_a_section_for_every_slip():
    page = PAGE.read_text(encoding="utf-8")
    headings = " ".join(re.findall(r"^## (.*)$", page, re.MULTILINE))
    for entry in LEDGER:
        if entry.verdict == "slip":
            number = re.sub(r"[a-d]?\)$", ")", entry.equation).removesuffix(", domain")
            assert number in headings, entry.equation
