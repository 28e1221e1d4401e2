"""A row of the ledger of formulas, and how it is shown.

A row says what is printed, in the notation of this package, which function computes the same
quantity, how a test of its own checks that function without using it, and whether the printed form
survives.  The tests are in ``tests/ledger``, one for each row; the page ``docs/formula-ledger.md``
shows the table.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["LedgerEntry", "ledger_markdown"]


@dataclass(frozen=True)
class LedgerEntry:
    """One row of the ledger.

    Attributes
    ----------
    equation
        The number in the paper, "(12)"; a letter after it is ours, for one part of an equation.
        "Text 3.1a" is a statement in section 3.1.
    statement
        The printed form, as Markdown with LaTeX between dollar signs.
    function
        Dotted name of the function, method or cell that computes the same quantity.
    check
        What the test does instead of calling that function.
    verdict
        "holds" or "slip"; "definition" where there is nothing to be true or false.
    correction
        The corrected form of a slip, or a hypothesis that the paper does not state.
    paper
        Key in the bibliography.
    """

    equation: str
    statement: str
    function: str
    check: str
    verdict: Literal["holds", "slip", "definition"]
    correction: str = ""
    paper: str = "Chen2018"


def ledger_markdown(entries: Iterable[LedgerEntry]) -> str:
    """Render rows as a MyST table, verdict first.

    Examples
    --------
    >>> row = LedgerEntry("(0)", "$x = x$", "rmt_jacobian.cells.sigmoid", "none", "holds")
    >>> print(ledger_markdown([row]).splitlines()[-1])
    | holds | (0) | $x = x$ |  | {py:obj}`cells.sigmoid <rmt_jacobian.cells.sigmoid>` | none |
    """
    lines = ["| verdict | | printed | correction or remark | function | independent check |"]
    lines.append("|" + "---|" * 6)
    for entry in entries:
        short = entry.function.removeprefix("rmt_jacobian.")
        cells = (
            f"**{entry.verdict}**" if entry.verdict == "slip" else entry.verdict,
            entry.equation,
            entry.statement,
            entry.correction,
            f"{{py:obj}}`{short} <{entry.function}>`",
            entry.check,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
