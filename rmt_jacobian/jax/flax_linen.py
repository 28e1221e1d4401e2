"""Parameters of cells of Flax's linen: trees of kernels and biases by the names of gates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rmt_jacobian.cells import gru_reset_after, lstm, vanilla
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.jax.dense import DenseCell

__all__ = ["LinenCell", "linen_cell"]

_CELLS = (
    (gru_reset_after, ("ir", "iz", "in"), ("hr", "hz", "hn")),
    (lstm, ("ii", "if", "ig", "io"), ("hi", "hf", "hg", "ho")),
    (vanilla, ("i",), ("h",)),
)


@dataclass(frozen=True, eq=False)
class LinenCell(DenseCell):
    """The parameters of a cell, and where they stand in the tree that was given.

    Attributes
    ----------
    path
        The keys that lead to them.
    """

    path: tuple[str, ...] = ()

    def leaf(self, dense: str, kind: str) -> Any:
        """Return the kernel or the bias of a dense layer, None where it has none."""
        return _at(self.given, self.path)[dense].get(kind)

    def with_leaves(self, leaves: Mapping[tuple[str, str], Any]) -> Any:
        """Return a tree of the same structure with other arrays."""
        tree = self.given
        for (dense, kind), array in leaves.items():
            tree = _with(tree, (*self.path, dense, kind), array)
        return tree


def linen_cell(given: Any) -> LinenCell | None:
    """Return the cell whose parameters a tree holds, None of what is no tree of parameters.

    Raises
    ------
    ParameterError
        If there is no such cell.

    Examples
    --------
    >>> dense = {"kernel": [[1.0]]}
    >>> found = linen_cell({"params": {"cell": {"i": dense, "h": dense}}})
    >>> found.cell.name, found.path
    ('vanilla', ('params', 'cell'))
    """
    if not isinstance(given, Mapping):
        return None
    path, tree = [], given
    while len(tree) == 1 and isinstance(inner := next(iter(tree.values())), Mapping):
        path.append(next(iter(tree)))
        tree = inner
    for cell, of_input, of_state in _CELLS:
        if set(tree) == {*of_input, *of_state} and all(map(_is_dense, tree.values())):
            return LinenCell(given, cell, of_input, of_state, path=tuple(path))
    keys = ", ".join(map(str, tree)) or "nothing"
    raise ParameterError(
        "this takes the parameters of a GRUCell (ir, iz, in, hr, hz, hn), an LSTMCell or "
        "OptimizedLSTMCell (ii, if, ig, io, hi, hf, hg, ho) or a SimpleCell (i, h) of Flax, not "
        f"those of {keys}: give the branch of one cell"
    )


def _is_dense(branch: Any) -> bool:
    return isinstance(branch, Mapping) and "kernel" in branch and set(branch) <= {"kernel", "bias"}


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _with(tree: Any, path: tuple[str, ...], array: Any) -> Any:
    """Return a tree of the same kind with another array at one place."""
    if not path:
        return array
    return type(tree)({**tree, path[0]: _with(tree[path[0]], path[1:], array)})
