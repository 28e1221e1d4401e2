"""How a test of the ledger decides: in units of the error of the independent value."""

import re
from pathlib import Path

import numpy as np

from rmt_jacobian.cells import Cell, Parameters, minimalrnn
from rmt_jacobian.mean_field import SiteLaw, site_law
from tests.ledger.independent import Point

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formula-ledger.md"


def parameters(point: Point, cell: Cell = minimalrnn) -> Parameters:
    return Parameters.of(cell, **point._asdict())


def solved(point: Point, cell: Cell = minimalrnn) -> SiteLaw:
    return site_law(cell, parameters(point, cell))


def sampled(values: object) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over the first axis, that of independent samples."""
    values = np.asarray(values, dtype=float)
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))


def agrees(values: object, expected: object, errors: float = 4.5) -> None:
    """Samples agree with a value within so many standard errors of their mean."""
    mean, error = sampled(values)
    assert np.all(np.abs(mean - expected) < errors * error), (mean, error, expected)


def differs(values: object, printed: object, errors: float = 10.0) -> None:
    """Samples exclude a value by at least so many standard errors of their mean."""
    mean, error = sampled(values)
    assert np.all(np.abs(mean - printed) > errors * error), (mean, error, printed)


def documented(equation: str, *numbers: float, level: str = "##") -> None:
    """The section of the page on this equation quotes these numbers, to four digits.

    Sections on Chen et al. (2018) are of level ##, those on Can et al. (2020) of level ###.
    """
    sections = re.split(rf"^{level} ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    (section,) = [text for text in sections if equation in text.splitlines()[0]]
    quoted = {float(text) for text in re.findall(r"-?\d+(?:\.\d+)?", section)}
    for number in numbers:
        assert float(f"{number:.4g}") in quoted, (equation, f"{number:.4g}")
