"""What follows from density, distribution function and quantiles, as in scipy.stats."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from html import escape
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from rmt_jacobian.errors import ConvergenceError, ParameterError

__all__ = ["Drawn", "Manners", "html_table"]

Function = Callable[[np.ndarray], np.ndarray]


class Drawn:
    """What draws itself: a density and its atoms, a boundary in the plane, several densities."""

    _drawn_by: ClassVar[str] = "draw_law"

    def plot(self, ax: Any = None) -> Any:
        """Draw the law.

        Parameters
        ----------
        ax
            Axes of matplotlib; by default the present ones of pyplot.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        # Drawing stands above the laws, and is loaded when it is asked for.
        return getattr(import_module("rmt_jacobian.plotting"), self._drawn_by)(self, ax)


class Manners(Drawn, ABC):
    """The methods of a law that hold for every law."""

    @abstractmethod
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Return the pairs (location, mass) of the atoms."""

    @abstractmethod
    def pdf(self, x: ArrayLike) -> np.ndarray:
        """Return the density of the continuous part."""

    @abstractmethod
    def cdf(self, x: ArrayLike) -> np.ndarray:
        """Return the mass of the points up to and including x."""

    @abstractmethod
    def ppf(self, p: ArrayLike) -> np.ndarray:
        """Return the least x whose cdf is at least p."""

    @abstractmethod
    def _continuous_part(self, function: Function, low: float, high: float) -> float:
        """Return the integral of a function times the density between two points."""

    def sf(self, x: ArrayLike) -> np.ndarray:
        """Return the mass of the points above x.

        Examples
        --------
        >>> from rmt_jacobian.laws import MarchenkoPastur
        >>> round(float(MarchenkoPastur(ratio=4).sf(0.0)), 12)
        0.25
        """
        return 1 - self.cdf(x)

    def isf(self, p: ArrayLike) -> np.ndarray:
        """Return the least x with at most the mass p above it; nan for p outside [0, 1]."""
        return self.ppf(1 - np.asarray(p, dtype=float))

    def logpdf(self, x: ArrayLike) -> np.ndarray:
        """Return the logarithm of the density; -inf off the support."""
        with np.errstate(divide="ignore"):
            return np.log(self.pdf(x))

    def median(self) -> float:
        """Return the median, the least x whose cdf is at least one half.

        Examples
        --------
        >>> from rmt_jacobian.laws import Semicircle
        >>> round(Semicircle(radius=1, centre=3).median(), 12)
        3.0
        """
        return float(self.ppf(0.5))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the ends of the interval around the median that holds a share of the mass.

        Raises
        ------
        ParameterError
            If the share does not lie between 0 and 1.

        Examples
        --------
        >>> from rmt_jacobian.laws import Semicircle
        >>> [round(x, 4) for x in Semicircle().interval(0.9)]
        [-1.6108, 1.6108]
        """
        if not 0 <= confidence <= 1:
            raise ParameterError(f"confidence must lie between 0 and 1, not {confidence}")
        low, high = self.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
        return float(low), float(high)

    def expect(
        self,
        function: Function | None = None,
        lb: float | None = None,
        ub: float | None = None,
        *,
        conditional: bool = False,
    ) -> float:
        r"""Return :math:`\int_{lb}^{ub} f(x) \, \mu(dx)`, by default the mean.

        Parameters
        ----------
        function
            f, of an array of points.
        lb, ub
            The ends, which count with the atoms that sit on them; by default the whole line.
        conditional
            Whether to divide by the mass between the ends.

        Raises
        ------
        ConvergenceError
            If the integral is infinite, or not known to six digits of that of \|f\|.

        Examples
        --------
        >>> from rmt_jacobian.laws import MarchenkoPastur
        >>> law = MarchenkoPastur(ratio=0.5)
        >>> round(law.expect(lambda x: 1 / x), 9)  # 1 / (1 - ratio)
        2.0
        >>> round(law.expect(np.ones_like, lb=1.0), 9) == round(float(law.sf(1.0)), 9)
        True
        """
        low, high = -math.inf if lb is None else lb, math.inf if ub is None else ub
        if not low <= high:
            raise ParameterError(f"lb = {lb} lies above ub = {ub}")

        def values(x: np.ndarray) -> np.ndarray:
            with np.errstate(all="ignore"):  # what is not finite is refused below
                return x if function is None else np.broadcast_to(function(x), x.shape)

        at = np.array([pair for pair in self.atoms() if low <= pair[0] <= high]).reshape(-1, 2)
        total = float(at[:, 1] @ values(at[:, 0])) if len(at) else 0.0
        total += self._continuous_part(values, low, high)
        if not math.isfinite(total):
            raise ConvergenceError("the integral is not finite: leave out the point where f is not")
        if not conditional:
            return total
        mass = self.expect(np.ones_like, low, high)
        return total / mass if mass else math.nan

    def entropy(self) -> float:
        r"""Return the differential entropy :math:`-\int \rho \log \rho`, -inf with atoms.

        Examples
        --------
        >>> from rmt_jacobian.laws import Semicircle
        >>> round(Semicircle().entropy(), 9) == round(math.log(2 * math.pi) - 0.5, 9)
        True
        """
        if self.atoms():
            return -math.inf

        def surprise(x: np.ndarray) -> np.ndarray:
            density = self.pdf(x)
            return -np.log(np.where((density > 0) & np.isfinite(density), density, 1.0))

        return self._continuous_part(surprise, -math.inf, math.inf)

    def _repr_html_(self) -> str:
        """Return a small table for a notebook: where the law lies."""
        rows = [("median", f"{self.median():.6g}")]
        rows += [(f"{share:.0%} inside", "{:.6g} to {:.6g}".format(*self.interval(share)))
                 for share in (0.5, 0.95)]  # fmt: skip
        rows += [(f"atom at {x:.6g}", f"mass {mass:.6g}") for x, mass in self.atoms()]
        return html_table(repr(self), rows)


def html_table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """Return a small table for a notebook.

    Examples
    --------
    >>> html_table("<a law>", [("mean", "1")])
    '<table><caption>&lt;a law&gt;</caption><tr><th>mean</th><td>1</td></tr></table>'
    """
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{value}</td></tr>" for name, value in rows)
    return f"<table><caption>{escape(title)}</caption>{cells}</table>"
