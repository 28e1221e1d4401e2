"""A layer of PyTorch made of any cell: what is analysed is what is trained."""

from collections.abc import Sequence
from typing import Any

import sympy as sp
import torch
from torch import Tensor, nn

from rmt_jacobian.cells import Cell, Parameters, Point, cell_and_parameters, cell_named
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.networks import Network
from rmt_jacobian.sampling import Weights
from rmt_jacobian.torch.written import torch_function

__all__ = ["Recurrent"]

_PLAIN = {"weight_std": 1.0, "input_std": 1.0, "bias_mean": 0.0, "bias_std": 0.0,
          "input_variance": 1.0}  # fmt: skip
# What PyTorch calls arrays, and what a network does.
_ARRAYS = {"weight_hh": "recurrent", "weight_ih": "input", "bias": "bias"}


class Recurrent(nn.Module):
    r"""A recurrent layer with the equations of a cell.

    .. math:: e_k = W_k y_k + V_k x + b_k, \qquad s' = f(s, e, x)

    Parameters
    ----------
    cell
        The cell, such as ``rj.minimalrnn`` or one of your own, or its name.
    input_size
        M. A cell whose update reads the input of its own site, as the minimalRNN does, needs
        as many as units: put an ``nn.Linear`` before it.
    hidden_size
        N.
    parameters
        The hyperparameters that arrays are drawn with, by default those that the cell names, or
        ``weight_std`` and ``input_std`` 1 where it names none. Constants of the cell are fixed by
        them.
    weights
        ``"orthogonal"`` or ``"gaussian"``.
    batch_first
        Whether inputs and outputs are (batch, T, ...) instead of (T, batch, ...).
    generator
        A ``torch.Generator``; by default that of PyTorch.
    device, dtype
        Of the arrays, as in other modules.

    Attributes
    ----------
    weight_hh_NAME, weight_ih_NAME, bias_NAME
        W, V and b of every preactivation, of shapes (N, N), (N, M) and (N,).

    Notes
    -----
    The equations are written out once, as code that calls PyTorch alone: automatic
    differentiation, ``torch.compile`` and ``torch.func`` see straight lines.

    Raises
    ------
    ParameterError
        If sizes or hyperparameters do not fit the cell.

    Examples
    --------
    >>> layer = Recurrent("minimalrnn", 6, 6)
    >>> outputs, state = layer(torch.randn(10, 3, 6))  # T, batch, M
    >>> outputs.shape, state.shape
    (torch.Size([10, 3, 6]), torch.Size([3, 6]))
    """

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int,
        *,
        parameters: Point = None,
        weights: Weights = "orthogonal",
        batch_first: bool = False,
        generator: torch.Generator | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_counts(input_size=input_size, hidden_size=hidden_size)
        named, point = _point(cell, parameters)
        self.cell = named.at(point.constants)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.batch_first = batch_first
        self._reads_input_itself = self.cell.reads_input_itself  # a flag, for torch.compile
        if self._reads_input_itself and input_size != hidden_size:
            raise ParameterError(
                f"{self.cell.name} reads the input of its own site: input_size must be "
                f"hidden_size, {hidden_size}, not {input_size}; put an nn.Linear before it"
            )
        options = {"device": device, "dtype": dtype}
        shapes = {"weight_hh": (hidden_size,), "weight_ih": (input_size,), "bias": ()}
        for array, kind in _ARRAYS.items():
            for name in self._names()[kind]:
                empty = torch.empty(hidden_size, *shapes[array], **options)
                self.register_parameter(f"{array}_{name}", nn.Parameter(empty))
        self._write_out()
        self.reset_parameters(point, weights=weights, generator=generator)

    def _write_out(self) -> None:
        """Write the equations out, so that nothing symbolic is left in a step."""
        self._count = len(self.cell.states)
        self._gates = [
            (
                each.name,
                torch_function((*self.cell.states, *self.cell.gates[:k]), each.source)
                if each.reads_state
                else None,
                each.reads_input,
            )
            for k, each in enumerate(self.cell.preactivations)
        ]
        self._update = torch_function(self.cell.site_symbols, sp.Tuple(*self.cell.updates))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the code that is written out, which cannot be pickled."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_gates", "_update")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Write it out again."""
        super().__setstate__(state)
        self._write_out()

    def _names(self) -> dict[str, list[str]]:
        gates = self.cell.preactivations
        return {
            "recurrent": [each.name for each in gates if each.reads_state],
            "input": [each.name for each in gates if each.reads_input],
            "bias": [each.name for each in gates],
        }

    @torch.no_grad()
    def reset_parameters(
        self,
        parameters: Point = None,
        *,
        weights: Weights = "orthogonal",
        generator: torch.Generator | None = None,
    ) -> None:
        """Draw all arrays anew, in double precision, and round them to that of the module.

        Parameters
        ----------
        parameters, weights, generator
            As of the class.
        """
        cell, point = _point(self.cell.symbolic or self.cell, parameters)
        point.check_cell(self.cell)
        device = "cpu" if generator is None else generator.device
        seed = torch.randint(2**62, (1,), generator=generator, device=device).item()
        drawn = Network.sample(
            cell, point, width=self.hidden_size, input_size=self.input_size, weights=weights,
            seed=int(seed),
        )  # fmt: skip
        for kind in self._names():
            for name, array in getattr(drawn, kind).items():
                self._array(kind, name).copy_(torch.from_numpy(array))

    def _array(self, kind: str, name: str) -> Tensor:
        """Return W, V or b of a preactivation, by the name of a network's field."""
        (array,) = (key for key, value in _ARRAYS.items() if value == kind)
        return getattr(self, f"{array}_{name}")

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Run the layer.

        Parameters
        ----------
        x
            Inputs, shape (T, batch, M), (batch, T, M) if ``batch_first``, or (T, M).
        state
            Where it starts, shape (batch, N) or (N,); a tuple of them for a cell of several
            states. By default 0.

        Returns
        -------
        outputs, state
            The first state at all steps, shape (T, batch, N) and so on, and all states after the
            last, in the form in which they are given.

        Raises
        ------
        ParameterError
            If a shape does not fit.
        """
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size or 0 in x.shape:
            raise ParameterError(
                f"inputs must have {self.input_size} columns and 2 or 3 axes, not the shape "
                f"{tuple(x.shape)}"
            )
        swapped = self.batch_first and x.ndim == 3
        x = x.transpose(0, 1) if swapped else x
        states = self._started(x, state)
        outputs = []
        for drive, own in zip(self._drives(x), x, strict=True):
            states = self.step(states, drive, own)
            outputs.append(states[0])
        stacked = torch.stack(outputs)
        stacked = stacked.transpose(0, 1) if swapped else stacked
        return stacked, states[0] if len(states) == 1 else tuple(states)

    def step(self, states: Sequence[Tensor], drive: Sequence[Tensor], x: Tensor) -> list[Tensor]:
        """Return the states after one step.

        Parameters
        ----------
        states
            One array of shape (..., N) for each.
        drive
            V x + b of every preactivation, shape (..., N).
        x
            The inputs, which only some cells read themselves.
        """
        gates: list[Tensor] = []
        for (name, source, _), e in zip(self._gates, drive, strict=True):
            if source is not None:
                y = _like(source(*states, *gates), states[0])
                e = e + y @ getattr(self, f"weight_hh_{name}").T
            gates.append(e)
        own = x if self._reads_input_itself else torch.zeros_like(states[0])
        return [_like(new, states[0]) for new in self._update(*states, *gates, own)]

    def _drives(self, x: Tensor) -> list[list[Tensor]]:
        """Return V x + b of every step."""
        of_gates = []
        for name, _, reads_input in self._gates:
            b = getattr(self, f"bias_{name}")
            if reads_input:
                of_gates.append(x @ getattr(self, f"weight_ih_{name}").T + b)
            else:
                of_gates.append(b.expand(*x.shape[:-1], self.hidden_size))
        return [list(step) for step in zip(*of_gates, strict=True)]

    def _started(self, x: Tensor, state: Any) -> list[Tensor]:
        d, shape = self._count, (*x.shape[1:-1], self.hidden_size)
        if state is None:
            return [x.new_zeros(shape) for _ in range(d)]
        given = list(state) if isinstance(state, tuple | list) else [state]
        if len(given) != d or any(tuple(each.shape) != shape for each in given):
            wanted = f"{d} arrays" if d > 1 else "an array"
            raise ParameterError(f"state must be {wanted} of shape {shape}")
        return given

    def network(self) -> Network:
        """Return the layer as a network, in double precision."""
        arrays = {
            kind: {
                name: self._array(kind, name).detach().to("cpu", torch.float64).numpy()
                for name in names
            }
            for kind, names in self._names().items()
        }
        return Network(self.cell, **arrays)

    def extra_repr(self) -> str:
        """Say in one line what it is."""
        return f"{self.cell.name}, {self.input_size}, {self.hidden_size}"


def _point(cell: Cell | str, parameters: Point) -> tuple[Cell, Parameters]:
    """Return a cell and hyperparameters, also of one that has no usual ones."""
    named = cell_named(cell)
    if not (named.typical_parameters or isinstance(parameters, Parameters)):
        parameters = {**_PLAIN, **(parameters or {})}
    return cell_and_parameters(named, parameters)


def _like(value: Any, state: Tensor) -> Tensor:
    """Return a tensor, also of an expression that is a number."""
    return value if isinstance(value, Tensor) else torch.full_like(state, float(value))
