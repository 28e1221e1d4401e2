"""What a network did over some steps: its Jacobians, their spectra, exponents and gradients."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from rmt_jacobian.arrays import Seed, generator
from rmt_jacobian.cells import Parameters, compile_cell
from rmt_jacobian.counts import check_counts, is_count
from rmt_jacobian.errors import ParameterError, RoundingWarning
from rmt_jacobian.mean_field import Sites
from rmt_jacobian.networks.beside import BesideTheory, beside_theory
from rmt_jacobian.sampling.networks.eigenvalues import dense_jacobian
from rmt_jacobian.sampling.networks.steps import NetworkStep
from rmt_jacobian.sampling.products.lyapunov import exponents_along
from rmt_jacobian.sampling.products.product_svd import LogSingularValues, log_singular_values

if TYPE_CHECKING:
    from rmt_jacobian.networks.network import Network

__all__ = ["Trajectory"]

_NOISE = 1e-14
_LOG_NOISE = np.log(_NOISE)


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory:
    """The states of a network over T steps, and the Jacobians along them.

    Attributes
    ----------
    network
        The network.
    inputs
        x of every step, shape (T, M).
    states
        Of all times 0, ..., T, shape (T + 1, d, N).
    preactivations
        Of every step, shape (T, K, N).

    Examples
    --------
    >>> from rmt_jacobian.networks import Network
    >>> network = Network.sample("lstm", width=8, seed=1)
    >>> path = network.run(np.zeros((30, 8)))
    >>> path.jacobian(0).shape, path.gradient_norms().shape, path.lyapunov_exponents(3).shape
    ((16, 16), (31,), (3,))
    """

    network: "Network"
    inputs: np.ndarray
    states: np.ndarray
    preactivations: np.ndarray

    @property
    def steps(self) -> int:
        """T."""
        return len(self.preactivations)

    @property
    def size(self) -> int:
        """The number dN of variables that a Jacobian has rows for."""
        return self.states.shape[1] * self.states.shape[2]

    def state(self, name: str) -> np.ndarray:
        """Return one of the states by name, shape (T + 1, N)."""
        names = [str(symbol) for symbol in self.network.cell.states]
        if name not in names:
            raise ParameterError(f"there is no state {name!r}: known: {', '.join(names)}")
        return self.states[:, names.index(name)]

    def step(self, t: int) -> NetworkStep:
        """Return step t, which leads from the states of time t to those of t + 1.

        Parameters
        ----------
        t
            0, ..., T - 1, or negative from the end.
        """
        if not isinstance(t, int | np.integer) or not -self.steps <= t < self.steps:
            raise ParameterError(f"steps go from 0 to {self.steps - 1}, there is no {t!r}")
        t = int(t) % self.steps
        network = self.network
        states, gates = tuple(self.states[t]), tuple(self.preactivations[t])
        x = self.inputs[t] if network.cell.reads_input_itself else np.zeros(network.width)
        derivatives = compile_cell(network.cell).derivatives(states, gates, x)
        return NetworkStep(states, gates, x, network.weights, derivatives)

    def last(self, steps: int | None = None) -> Iterator[NetworkStep]:
        """Yield the last steps, all by default, the earliest first."""
        count = self._count(steps)
        return (self.step(t) for t in range(self.steps - count, self.steps))

    def jacobian(self, t: int) -> np.ndarray:
        """Return the Jacobian of one step, shape (dN, dN); the first state comes first."""
        return dense_jacobian(self.step(t))

    def eigenvalues(self, t: int) -> np.ndarray:
        """Return the dN eigenvalues of the Jacobian of one step, largest first."""
        found = np.linalg.eigvals(self.jacobian(t)).astype(complex)
        return found[np.argsort(-np.abs(found), kind="stable")]

    def singular_values(self, steps: int | None = None) -> np.ndarray:
        """Return the singular values of dh_T / dh_0 of the product as it stands, descending.

        It is multiplied and decomposed once, which is several times as fast as
        :meth:`log_singular_values`; values below 1e-14 of the largest are rounding noise, and said
        to be.

        Parameters
        ----------
        steps
            Of the last so many steps; of all by default.
        """
        logs = self.quick_log_singular_values(steps, noise=True)
        if lost := int(np.sum(logs < logs[0] + _LOG_NOISE)):
            warnings.warn(
                f"{lost} of {len(logs)} singular values are below {_NOISE:g} of the largest and "
                "rounding noise: log_singular_values resolves them",
                RoundingWarning,
                stacklevel=2,
            )
        return np.exp(logs)

    def quick_log_singular_values(
        self, steps: int | None = None, *, noise: bool = False
    ) -> np.ndarray:
        """Return the logarithms of :meth:`singular_values`, however small or large all of them are.

        Parameters
        ----------
        steps
            Of the last so many steps; of all by default.
        noise
            Whether those below 1e-14 of the largest are returned too; else they are nan.
        """
        d, N = self.states.shape[1:]
        block, scale = np.eye(self.size), 0.0
        for step in self.last(steps):
            block = np.concatenate(step.times([block[i * N : (i + 1) * N] for i in range(d)]))
            length = float(np.max(np.abs(block)))
            if length == 0:
                return np.full(self.size, -np.inf)
            block, scale = block / length, scale + np.log(length)
        with np.errstate(divide="ignore"):
            logs = np.log(np.linalg.svd(block, compute_uv=False))
        lost = logs < logs[0] + _LOG_NOISE
        return scale + (logs if noise else np.where(lost, np.nan, logs))

    def log_singular_values(self, steps: int | None = None) -> np.ndarray:
        """Return the logarithms of the singular values of dh_T / dh_0, descending.

        Every one has its digits, however far they are apart; minus infinity are exact zeros alone,
        as of rectifiers that are off.

        Parameters
        ----------
        steps
            Of the last so many steps; of all by default.

        Returns
        -------
        numpy.ndarray
            Shape (dN,).
        """
        return self.log_singular_values_with_errors(steps).values

    def log_singular_values_with_errors(
        self, steps: int | None = None, *, seed: Seed = 0, progress: bool = False
    ) -> LogSingularValues:
        """Return the same with estimates of their errors; see :func:`.log_singular_values`.

        Parameters
        ----------
        steps
            Of the last so many steps; of all by default.
        seed
            Of the two products that are compared.
        progress
            Whether to show a bar from two seconds on.
        """
        along = tqdm(
            self.last(steps), desc="singular values", total=self._count(steps), unit="step",
            disable=not progress, delay=2, mininterval=0.5,
        )  # fmt: skip
        return log_singular_values(along, seed=seed)

    def lyapunov_exponents(
        self, count: int | None = None, *, transient: int | None = None
    ) -> np.ndarray:
        """Return the largest Lyapunov exponents along the trajectory, in nats a step.

        Parameters
        ----------
        count
            How many; all dN by default.
        transient
            Steps in which directions turn before any counts; by default a tenth of all.
        """
        count = self.size if count is None else count
        check_counts(count=count)
        if count > self.size:
            raise ParameterError(f"there are {self.size} exponents, not {count}")
        before = self.steps // 10 if transient is None else transient
        if before != 0 and not is_count(before):
            raise ParameterError(f"transient must be a whole number >= 0, not {transient!r}")
        if before >= self.steps:
            raise ParameterError(f"transient must leave some of the {self.steps} steps")
        return exponents_along(
            self.last(), count, steps=self.steps - before, transient=before
        )[0]  # fmt: skip

    def log_gradient_norms(self, gradient: ArrayLike | None = None) -> np.ndarray:
        r"""Return :math:`\log |dL / dh_t|` for t = 0, ..., T, however small they are.

        Parameters
        ----------
        gradient
            dL / dh_T, shape (N,) or (d, N). By default the root mean square over all directions of
            length 1, :math:`(\tfrac{1}{dN} \mathrm{tr} J J^T)^{1/2}` of all steps after t.

        Returns
        -------
        numpy.ndarray
            Shape (T + 1,).
        """
        d, N = self.states.shape[1:]
        if gradient is None:
            block = np.eye(self.size) / np.sqrt(self.size)
        else:
            given = np.asarray(gradient, dtype=float)
            if given.shape == (N,):
                given = np.concatenate([given, np.zeros((d - 1) * N)])
            if given.shape not in ((d * N,), (d, N)) or not np.all(np.isfinite(given)):
                raise ParameterError(f"gradient must be {N} or {d} x {N} finite numbers")
            block = given.reshape(d * N, 1)
        return self._carried_back(block, self.steps)

    def _carried_back(self, block: np.ndarray, steps: int) -> np.ndarray:
        """Return the logarithms of the norms of covectors after the last steps, earliest first."""
        d, N = self.states.shape[1:]
        found, scale = np.full(steps + 1, -np.inf), 0.0
        for back in range(steps + 1):
            if back:
                rows = [block[i * N : (i + 1) * N] for i in range(d)]
                block = np.concatenate(self.step(-back).adjoint(rows))
            length = float(np.linalg.norm(block))
            if length == 0:
                break
            block, scale = block / length, scale + np.log(length)
            found[steps - back] = scale
        return found

    def gradient_norms(self, gradient: ArrayLike | None = None) -> np.ndarray:
        """Return :math:`|dL / dh_t|` for t = 0, ..., T; see :meth:`log_gradient_norms`."""
        return np.exp(self.log_gradient_norms(gradient))

    def growth_rate(
        self, steps: int | None = None, *, directions: int | None = None, seed: Seed = 0
    ) -> float:
        """Return by what squared gradients grow a step, over the last steps, all by default.

        Parameters
        ----------
        steps
            How many.
        directions, seed
            From how many random gradients, which is quick for wide networks; by default from all
            directions.
        """
        count = self._count(steps)
        if directions is None:
            block = np.eye(self.size) / np.sqrt(self.size)
        else:
            check_counts(directions=directions)
            signs = generator(seed).choice([-1.0, 1.0], (self.size, directions))
            block = signs / np.sqrt(signs.size)
        return float(np.exp(2 * self._carried_back(block, count)[0] / count))

    def sites(self, steps: int | None = None) -> list[Sites]:
        """Return the variables of all sites at the last steps, for theory on this very path."""
        parameters = self.network.fit(self.inputs if self.network.input else None).parameters
        count = self._count(steps)
        return [self._sites(parameters, t) for t in range(self.steps - count, self.steps)]

    def _sites(self, parameters: Parameters, t: int) -> Sites:
        step = self.step(t)
        return Sites.of(
            self.network.cell, parameters, list(step.states), list(step.gates), x=step.x
        )

    def against_theory(self, steps: int = 20, **options: Any) -> BesideTheory:
        """Compare the last steps with the law of random networks that keep their weights.

        Parameters
        ----------
        steps
            T, over which singular values are compared.
        options
            Of :func:`.singular_value_law`, ``sites``, ``tolerance``; and ``state``, the steady
            state of these random networks, where it is known.

        Notes
        -----
        The law is that of random networks with the hyperparameters of :meth:`Network.fit`, with
        fresh Gaussian inputs of the same mean square, in their steady state. A trained network, or
        inputs that are alike in successive steps, may differ from it: that is what is found out.
        """
        check_counts(steps=steps)
        fit = self.network.fit(self.inputs if self.network.input else None)
        return beside_theory(fit, self.log_singular_values(steps), steps, **options)

    def _count(self, steps: int | None) -> int:
        if steps is None:
            return self.steps
        check_counts(steps=steps)
        if steps > self.steps:
            raise ParameterError(f"there are {self.steps} steps, not {steps}: run the network on")
        return steps

    def __repr__(self) -> str:
        """Say in one line what it is."""
        return f"<{self.steps} steps of {self.network!r}>"
