"""A network with the arrays that it really has, as opposed to a law of networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.arrays import Seed, array_generator, generator
from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import (
    Cell,
    Point,
    Preactivation,
    cell_and_parameters,
    cell_named,
    compile_cell,
)
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import NotFiniteError, ParameterError
from rmt_jacobian.networks.fitted import FittedNetwork, fitted
from rmt_jacobian.networks.trajectory import Trajectory
from rmt_jacobian.sampling.weights.dense import DenseMatrix
from rmt_jacobian.sampling.weights.ensembles import Weights, checked_weights, draw_weights

__all__ = ["Network"]


@named_arguments
@dataclass(frozen=True, eq=False, repr=False)
class Network:
    r"""A recurrent network: a cell, and the arrays of every preactivation.

    .. math:: e_k = W_k y_k + V_k x + b_k, \qquad s' = f(s, e, x)

    Parameters
    ----------
    cell
        The cell, or its name.
    recurrent
        W by the name of its preactivation, shape (N, N).
    input
        V by name, shape (N, M); M need not be N, unless the cell itself reads x, as the minimalRNN
        does. Left out, the network reads no input.
    bias
        b by name, shape (N,); 0 where it is left out.

    Notes
    -----
    Arrays are kept in double precision, as they are: a network of 32-bit numbers is the same
    network, and its Jacobians are more accurate here than in its own precision.

    Raises
    ------
    ParameterError
        If an array is missing, has another shape, belongs to no preactivation or is not finite.

    Examples
    --------
    >>> network = Network.sample("gru", {"update.bias_mean": 1}, width=16, seed=0)
    >>> path = network.run(np.random.default_rng(0).standard_normal((50, 16)))
    >>> path.log_singular_values(10).shape
    (16,)
    """

    cell: Cell
    recurrent: Mapping[str, np.ndarray]
    input: Mapping[str, np.ndarray] = field(default_factory=dict)
    bias: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cell = cell_named(self.cell) if isinstance(self.cell, str) else self.cell
        cell = cell.at({}) if cell.constants else cell
        object.__setattr__(self, "cell", cell)
        for kind, wanted in (("recurrent", "reads_state"), ("input", "reads_input"), ("bias", "")):
            object.__setattr__(self, kind, _arrays(cell, kind, wanted, getattr(self, kind)))
        self._check_shapes()

    def _check_shapes(self) -> None:
        for each in self.cell.preactivations:
            if each.reads_state and each.name not in self.recurrent:
                raise ParameterError(f"recurrent lacks {each.name!r}: give its W, of shape (N, N)")
            if self.input and each.reads_input and each.name not in self.input:
                raise ParameterError(
                    f"input lacks {each.name!r}: give its V, of shape (N, {self.input_size})"
                )
        N, M = self.width, self.input_size
        wanted = {"recurrent": (N, N), "input": (N, M), "bias": (N,)}
        for kind, shape in wanted.items():
            for name, array in getattr(self, kind).items():
                if array.shape != shape:
                    raise ParameterError(
                        f"{kind}[{name!r}] must have shape {shape} like the others, "
                        f"not {array.shape}"
                    )
                if not np.all(np.isfinite(array)):
                    raise NotFiniteError(
                        f"{kind}[{name!r}] has entries that are not finite: the network is broken"
                    )
        if self.input and self.cell.reads_input_itself and M != N:
            raise ParameterError(
                f"{self.cell.name} reads the input of its own site, so that there must be as many "
                f"inputs as sites, {N}, not {M}"
            )

    @classmethod
    def sample(
        cls,
        cell: Cell | str,
        parameters: Point = None,
        *,
        width: int,
        weights: Weights = "gaussian",
        input_size: int | None = None,
        seed: Seed = 0,
    ) -> "Network":
        r"""Draw a network.

        Parameters
        ----------
        cell, parameters
            The cell and its hyperparameters.
        width
            N.
        weights
            Ensemble of every W. Entries of V have the variance :math:`\sigma_v^2 / M`.
        input_size
            M, by default N.
        seed
            What it is drawn from.
        """
        cell, parameters = cell_and_parameters(cell, parameters)
        checked_weights(weights)
        M = width if input_size is None else input_size
        check_counts(width=width, input_size=M)
        numpy_rng = generator(seed)
        rng = array_generator(numpy_rng)
        recurrent, inputs, bias = {}, {}, {}
        for each, (name, group) in zip(cell.preactivations, parameters.groups, strict=True):
            if each.reads_state:
                drawn = draw_weights(weights, width, group.weight_std, rng)
                recurrent[name] = np.asarray(drawn.matrix())
            if each.reads_input:
                std = group.input_std / np.sqrt(M)
                inputs[name] = std * numpy_rng.standard_normal((width, M))
            bias[name] = group.bias_mean + group.bias_std * numpy_rng.standard_normal(width)
        return cls(cell.at(parameters.constants), recurrent, inputs, bias)

    @property
    def width(self) -> int:
        """N, the number of sites."""
        return len(next(iter(self.recurrent.values())))

    @property
    def input_size(self) -> int:
        """M, the number of inputs; 0 without any."""
        if self.input:
            return next(iter(self.input.values())).shape[1]
        return self.width if self.cell.reads_input_itself else 0

    @cached_property
    def weights(self) -> tuple[DenseMatrix | None, ...]:
        """W of every preactivation, None where there is none."""
        found = (self.recurrent.get(each.name) for each in self.cell.preactivations)
        return tuple(None if W is None else DenseMatrix(W) for W in found)

    def run(
        self,
        inputs: ArrayLike | int,
        state: ArrayLike | Mapping[str, ArrayLike] | Sequence[ArrayLike] | None = None,
    ) -> Any:
        """Run the network and return its trajectory.

        Parameters
        ----------
        inputs
            x of every step, shape (T, M), or (batch, T, M); for a network without input T.
        state
            Where it starts: shape (N,) for a cell of one state; else one array for each state, in
            their order or by name. With a batch also (batch, N). By default 0.

        Returns
        -------
        Trajectory
            Or a list of them, one for each of a batch.

        Raises
        ------
        ParameterError
            If a shape does not fit, or inputs are not finite.
        """
        x = self._checked_inputs(inputs)
        batch = x.ndim == 3
        x = x if batch else x[None]
        states = self._checked_state(state, len(x))
        history, gates = self._run(x, states)
        found = [
            Trajectory(self, x[i], history[:, :, i, :], gates[:, :, i, :]) for i in range(len(x))
        ]
        return found if batch else found[0]

    def fit(self, inputs: ArrayLike | None = None) -> FittedNetwork:
        """Return the hyperparameters of the random networks that this one looks like.

        Parameters
        ----------
        inputs
            Of any shape (..., M); their mean square is the input variance. By default 1 is taken
            for it, or 0 for a network without input.
        """
        variance = float(self.input_size > 0)
        if inputs is not None:
            given = np.asarray(inputs, dtype=float)
            if given.ndim == 0 or given.shape[-1] != self.input_size or not given.size:
                raise ParameterError(
                    f"inputs must have shape (..., {self.input_size}), not {given.shape}"
                )
            variance = float(np.mean(given**2))
        return fitted(self.cell, self.recurrent, self.input, self.bias, variance)

    def _run(self, x: np.ndarray, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return states (T + 1, d, batch, N) and preactivations (T, K, batch, N)."""
        compiled, (batch, T, _) = compile_cell(self.cell), x.shape
        preactivations, N = self.cell.preactivations, self.width
        history = np.empty((T + 1, len(self.cell.states), batch, N))
        gates = np.empty((T, len(preactivations), batch, N))
        drive = [self._drive(each, x) for each in preactivations]
        history[0] = states
        own = x if self.cell.reads_input_itself else np.zeros((batch, T, N))
        for t in range(T):
            now: list[Any] = []
            for k, each in enumerate(preactivations):
                e = drive[k][:, t]
                if each.reads_state:
                    y = compiled.source(k, list(history[t]), now) + np.zeros((batch, N))
                    e = e + y @ self.recurrent[each.name].T
                now.append(e)
            gates[t] = now
            for i, new in enumerate(compiled.update(list(history[t]), now, own[:, t])):
                history[t + 1, i] = new
        return history, gates

    def _drive(self, each: Preactivation, x: np.ndarray) -> np.ndarray:
        """Return V x + b of all steps, shape (batch, T, N)."""
        total = np.zeros((*x.shape[:2], self.width)) + self.bias.get(each.name, 0.0)
        return total + x @ self.input[each.name].T if each.name in self.input else total

    def _checked_inputs(self, inputs: ArrayLike | int) -> np.ndarray:
        if not self.input and np.ndim(inputs) == 0:
            check_counts(inputs=inputs)
            return np.zeros((int(inputs), self.input_size))  # pyright: ignore[reportArgumentType]
        x, M = np.asarray(inputs, dtype=float), self.input_size
        if x.ndim not in (2, 3) or x.shape[-1] != M or 0 in x.shape[:-1]:
            raise ParameterError(
                f"inputs must have shape (T, {M}) or (batch, T, {M}), not {x.shape}"
                + ("" if self.input else "; of a network without input give T, the steps")
            )
        if not np.all(np.isfinite(x)):
            raise ParameterError("inputs have entries that are not finite")
        return x

    def _checked_state(self, state: Any, batch: int) -> np.ndarray:
        names = [str(symbol) for symbol in self.cell.states]
        if state is None:
            return np.zeros((len(names), batch, self.width))
        if isinstance(state, Mapping):
            if set(state) != set(names):
                raise ParameterError(f"state must have the states {', '.join(names)}")
            state = [state[name] for name in names]
        elif len(names) == 1 and not (isinstance(state, tuple | list) and len(state) == 1):
            state = [state]
        if not isinstance(state, Sequence) or len(state) != len(names):
            raise ParameterError(f"state must be one array for each of {', '.join(names)}")
        found = []
        for name, each in zip(names, state, strict=True):
            array = np.asarray(each, dtype=float)
            if array.shape not in ((self.width,), (batch, self.width)):
                wanted = f"({self.width},)" + (f" or ({batch}, {self.width})" if batch > 1 else "")
                raise ParameterError(f"state {name} must have shape {wanted}, not {array.shape}")
            if not np.all(np.isfinite(array)):
                raise ParameterError(f"state {name} has entries that are not finite")
            found.append(np.broadcast_to(array, (batch, self.width)))
        return np.array(found)

    def __repr__(self) -> str:
        """Say in one line what it is."""
        inputs = f", {self.input_size} inputs" if self.input else ", no input"
        return f"<network of {self.width} {self.cell.name} units{inputs}>"


def _arrays(cell: Cell, kind: str, wanted: str, given: Any) -> dict[str, np.ndarray]:
    """Return arrays by the name of their preactivation, in double precision."""
    if not isinstance(given, Mapping):
        raise ParameterError(f"{kind} must be arrays by the name of a preactivation, not {given!r}")
    known = [e.name for e in cell.preactivations if not wanted or getattr(e, wanted)]
    for name in given:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise ParameterError(f"{kind} of {cell.name} has no {name!r}: {remedy}")
    try:
        return {name: np.array(array, dtype=float) for name, array in given.items()}
    except (TypeError, ValueError):
        raise ParameterError(f"{kind} must hold arrays of real numbers") from None
