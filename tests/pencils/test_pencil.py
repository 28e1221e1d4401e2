"""The specification of a pencil: what it takes, and what it refuses."""

import numpy as np
import pytest

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.pencils import GaussianWeights, Pencil, RandomEntry

LAW = GaussianWeights(1.0)
ENTRY = RandomEntry(0, 1, LAW)
ZERO = np.zeros((3, 2, 2))


def test_shapes_are_known() -> None:
    pencil = Pencil(np.zeros((5, 3, 2, 2)), [1, 0], [ENTRY])
    assert (pencil.points, pencil.sites, pencil.blocks) == (5, 3, 2)
    assert np.array_equal(pencil.slope, np.diag([1, 0]))
    assert Pencil(ZERO, np.eye(2), [ENTRY]).points is None


def test_sites_count_the_same_by_default() -> None:
    assert np.allclose(Pencil(ZERO, [1, 1], [ENTRY]).site_weights, 1 / 3)


@pytest.mark.parametrize(
    ("constant", "slope", "entries", "weights", "message"),
    [
        (np.zeros((2, 2)), [1, 1], [ENTRY], None, "constant must have shape"),
        (np.zeros((3, 2, 1)), [1, 1], [ENTRY], None, "constant must have shape"),
        (np.triu(np.ones((3, 2, 2))), [1, 1], [ENTRY], None, "Hermitian"),
        (1j * np.ones((3, 2, 2)), [1, 1], [ENTRY], None, "Hermitian"),
        (np.full((3, 2, 2), np.nan), [1, 1], [ENTRY], None, "finite"),
        (ZERO, [1, 1, 1], [ENTRY], None, "slope must have shape"),
        (ZERO, [0, 0], [ENTRY], None, "not zero"),
        (ZERO, [1, -1], [ENTRY], None, "semidefinite"),
        (ZERO, [[1, 2], [2, 1]], [ENTRY], None, "semidefinite"),
        (ZERO, [[1, 1], [0, 1]], [ENTRY], None, "Hermitian"),
        (ZERO, [1, 1], [], None, "at least one random entry"),
        (ZERO, [1, 1], [RandomEntry(0, 0, LAW)], None, "two of the blocks"),
        (ZERO, [1, 1], [RandomEntry(0, 2, LAW)], None, "blocks 0 to 1"),
        (ZERO, [1, 1], [RandomEntry(0, 1, LAW, np.ones(2))], None, "coefficient"),
        (ZERO, [1, 1], [RandomEntry(0, 1, LAW, 1j * np.ones(3))], None, "real"),
        (ZERO, [1, 1], [ENTRY], np.ones(2) / 2, "weights must have shape"),
        (ZERO, [1, 1], [ENTRY], np.ones(3), "sum to 1"),
        (ZERO, [1, 1], [ENTRY], np.array([1.5, -0.25, -0.25]), "non-negative"),
    ],
)
def test_errors_name_the_remedy(constant, slope, entries, weights, message) -> None:
    with pytest.raises(ParameterError, match=message):
        Pencil(constant, np.array(slope), entries, weights)
