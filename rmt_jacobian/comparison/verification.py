"""The main job: every route to the moments of J J^T, side by side with samples."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rmt_jacobian.arrays import Device, Precision, namespace
from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, Point, cell_and_parameters
from rmt_jacobian.comparison.drawn import Drawn, draw, mean_of, second_moment_of, variance_of
from rmt_jacobian.comparison.limits import LimitMoments, UntiedMoments, limit_moments
from rmt_jacobian.comparison.measured import Estimate
from rmt_jacobian.comparison.moment_samples import MomentSamples
from rmt_jacobian.comparison.rows import Comparison, Row
from rmt_jacobian.comparison.spectra import SpectrumComparison, compare_spectrum
from rmt_jacobian.comparison.tied_limits import tied_growth_to, tied_moments
from rmt_jacobian.counts import check_counts, check_seed, counts_of
from rmt_jacobian.derive import (
    diagonal_valued_recursion,
    printed_second_moment,
    s_transform_moment,
)
from rmt_jacobian.errors import ConvergenceError, HypothesisError, ParameterError
from rmt_jacobian.freeprob import s_coefficients_of_weights
from rmt_jacobian.mean_field import (
    SiteLaw,
    StationaryLaw,
    TiedLaw,
    UntiedLaw,
    UntiedState,
    stationary,
)
from rmt_jacobian.mean_field.tied.growth import TiedGrowth
from rmt_jacobian.sampling import Weights, checked_weights, ensemble_of
from rmt_jacobian.singular_values import singular_value_law

__all__ = ["EnsembleDifference", "SCoefficientMeasurement", "Verification", "verify"]

_MOST_STEPS = 20  # of a spectrum: the time of its law grows like their square
_MOST_TIED = 4  # and with shared weights like their cube
_SHARED_STEPS = 10  # of rows for networks that keep their weights, beside those that do not
# Networks whose spectra are compared, and sites and tolerance of the law: its error is then about a
# third of what these networks resolve at width 512.
_SPECTRA, _SITES, _TOLERANCE = 16, 1024, 3e-4


@dataclass(frozen=True)
class SCoefficientMeasurement:
    """s_1 of W W^T, inferred from one-step products, and its exact value."""

    weights: Weights
    exact: float
    measured: Estimate


@dataclass(frozen=True)
class EnsembleDifference:
    """Second moment with orthogonal W minus that with Gaussian W, by theory and sampled."""

    steps: int
    exact: float
    measured: Estimate
    limit_error: float = 0.0

    @property
    def z(self) -> float:
        """(exact - measured) in standard errors."""
        return self.measured.z(self.exact, error=self.limit_error)


@dataclass(frozen=True)
class Verification:
    """Theory against samples for one cell at one point.

    Attributes
    ----------
    state
        The stationary state of the cell.
    rows
        One for each ensemble and number of steps.
    s_1
        Measured for each ensemble; empty for cells with more than one W.
    differences
        Between the two ensembles, for each number of steps; empty unless both were sampled.
    width, samples, seed, tied
        Of the sampled networks.
    shared
        Rows for networks that keep their weights, where the others do not and these were asked for.
    without_shared
        Why there are none of them; empty if there are, or were not asked for.
    spectra
        Sampled singular values beside their laws, where those were compared too.
    without_law
        Why spectra that were sampled are not among them.
    device, dtype
        Where and in which precision the networks were sampled.
    """

    state: UntiedState
    rows: tuple[Row, ...]
    s_1: tuple[SCoefficientMeasurement, ...]
    differences: tuple[EnsembleDifference, ...]
    width: int
    samples: int
    seed: int
    tied: bool
    spectra: tuple[SpectrumComparison, ...] = ()
    without_law: tuple[str, ...] = ()
    device: Device = "cpu"
    dtype: Precision = "float64"
    shared: tuple[Row, ...] = ()
    without_shared: str = ""

    @property
    def hypotheses(self) -> str:
        """Under which hypotheses the theory columns hold, and whether the samples meet them."""
        if self.tied:
            return (
                "The networks keep their weights: tied and paired are the theory of shared "
                "weights, N -> infinity, W bi-invariant; all else is that of weights drawn anew at "
                "every step, an approximation here, whose deviation is no error of a formula."
            )
        if self.state.site_law is not None:
            return "Untied weights and biases, N -> infinity, W bi-invariant."
        kind = self.state.parameters.bias_kind
        return f"Untied weights, {kind} biases, N -> infinity, W bi-invariant."


@named_arguments
def verify(
    cell: Cell | str,
    parameters: Point = None,
    *,
    weights: Sequence[Weights] = ("gaussian", "orthogonal"),
    steps: Sequence[int] = (1, 2, 5, 10),
    width: int = 512,
    samples: int = 64,
    seed: int = 0,
    tied: bool = False,
    spectra: bool = True,
    shared: bool = False,
    workers: int | None = None,
    progress: bool = False,
    device: Device = "cpu",
    dtype: Precision = "float64",
) -> Verification:
    r"""Compare every route to the moments of J J^T with sampled networks.

    Parameters
    ----------
    cell, parameters
        Any cell, and its hyperparameters.
    weights
        Ensembles of W, of every W alike.
    steps
        Numbers of steps T.
    width, samples, seed
        N, the number of networks for each ensemble, and the seed.
    tied
        Whether the sampled networks keep one W for all steps. Rows then have the theory of shared
        weights, by dynamical mean field theory and on the drawn sites, beside that of fresh ones.
    spectra
        Whether to compare the singular values of 16 networks with their law too, at the largest
        of the numbers of steps up to 20, up to 4 with shared weights.
    shared
        Whether to add such rows, at 2 to 10 steps and with half as many samples, to those of
        untied networks.
    workers, progress
        How many networks run at a time; whether to show progress bars.
    device, dtype
        Where and in which precision the networks are sampled, as in
        :func:`~rmt_jacobian.sampling.run_network`.

    Notes
    -----
    What theory claims about W and what it claims about the sites are measured apart, on these
    networks with four times as many of an eighth of the width, and on 32 times as many sites
    without W; see :class:`.Measured`.

    For cells of one state and one preactivation whose moments close, the limit is that of the
    diagonal-valued recursion.  For all others it is that of the chain of the cell on sites of its
    stationary population, with an error of its own; the S-transform route then is
    :math:`m_2 = m_1(1)^{2T} (1 + T v_1 / m_1(1)^2)`, which assumes steps that are free of each
    other.

    Raises
    ------
    ParameterError
        If an argument is out of its domain.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> found = verify(minimalrnn, Parameters.of(minimalrnn), weights=["gaussian"], steps=[1],
    ...                width=32, samples=4, workers=1, spectra=False)
    >>> round(found.rows[0].second_moment.exact, 4)
    4.4233

    Cells of more states or preactivations have no printed formula, and m_1 has routes of its own:

    >>> from rmt_jacobian.cells import Parameters, gru
    >>> silent = Parameters.of(gru, input_std=0)
    >>> found = verify(gru, silent, weights=["orthogonal"], steps=[1], width=32, samples=4,
    ...                workers=1, spectra=False)
    >>> found.rows[0].verdict
    'exact agrees, paired agrees, free steps agrees'
    """
    cell, parameters = cell_and_parameters(cell, parameters)
    steps = counts_of("steps", steps)
    check_counts(width=width, samples=samples)
    check_seed(seed, whole=True)
    weights = [checked_weights(weights)] if isinstance(weights, str) else weights
    if not isinstance(weights, Sequence):
        raise ParameterError(
            f"weights must be a list of ensembles, such as ['gaussian'], not {weights!r}"
        )
    if not weights or not steps:
        raise ParameterError("give at least one ensemble of weights and one number of steps")
    if width < 2:
        raise ParameterError(f"width must be at least 2, for networks of two widths, not {width}")
    namespace(device)  # refused before anything is computed
    state = stationary(cell, parameters).state
    short = [T for T in steps if (_MOST_TIED if tied else _MOST_STEPS) >= T]
    spectra_at = [max(short)] if spectra and short else []
    place = {"device": device, "dtype": dtype}
    asked = {"weights": weights, "width": width, "samples": samples, "workers": workers,
             "progress": progress, **place}  # fmt: skip
    law = _Kept.of(state, steps, progress) if tied else None
    drawn = draw(cell, parameters, steps=steps, seed=seed, tied=tied, spectra_at=spectra_at,
                 spectra=_SPECTRA, **asked)  # fmt: skip
    rows = tuple(row for found in drawn.values() for row in _rows(state, law, found, workers))
    networks = [found.networks for found in drawn.values()]
    compared, without_law = _spectra(state, law and law.law, networks)
    kept, without = (), ""
    few = [T for T in steps if 1 < T <= _SHARED_STEPS]
    if shared and few and not tied:
        try:
            law = _Kept.of(state, few, progress)
            asked["samples"] = max(2, samples // 2)
            others = draw(cell, parameters, steps=few, seed=seed, tied=True, **asked)
            kept = tuple(
                row for each in others.values() for row in _rows(state, law, each, workers)
            )
        except (ConvergenceError, HypothesisError) as error:
            without = str(error)
    elif shared and not tied:
        without = "none of the numbers of steps lies between 2 and 10"
    return Verification(
        state, rows, tuple(_measured_s_1(drawn.values())), tuple(_differences(rows, drawn)),
        width, samples, seed, tied, compared, without_law, device, dtype, kept, without,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Kept:
    """Networks that keep their weights: their law, and the growth of their gradients."""

    law: TiedLaw
    growth: TiedGrowth

    @classmethod
    def of(cls, state: UntiedState, steps: Sequence[int], progress: bool) -> "_Kept":
        law = stationary(state.cell, state.parameters, dynamics="tied", progress=progress)
        assert isinstance(law, TiedLaw)
        return cls(law, tied_growth_to(law, max(steps)))


def _rows(state: UntiedState, kept: _Kept | None, found: Drawn, workers: int | None) -> list[Row]:
    if state.site_law is not None:
        rows = [_row(state.site_law, found, j) for j in range(len(found.steps))]
    else:
        limits = limit_moments(state, found.weights, found.steps, workers=workers)
        rows = [_row_of_any_cell(limits[T], found, j) for j, T in enumerate(found.steps)]
    if kept is None:
        return rows
    limits = tied_moments(kept.law, kept.growth, found.weights, found.steps, workers=workers)
    return [_with_tied(row, limits[row.steps]) for row in rows]


def _with_tied(row: Row, limit: LimitMoments) -> Row:
    """Return a row with the limits of networks that keep their weights."""
    mean, second = limit.mean, limit.second_moment
    variance = Estimate(second.value - mean.value**2, second.standard_error)

    def beside(moment: Comparison, found: Estimate) -> Comparison:
        return replace(moment, tied=found.value, tied_error=found.standard_error)

    return replace(
        row,
        mean=beside(row.mean, mean),
        second_moment=beside(row.second_moment, second),
        variance=beside(row.variance, variance),
    )


def _row(law: SiteLaw, found: Drawn, j: int) -> Row:
    T, weights = found.steps[j], ensemble_of(found.weights)
    mean = law.chi1**T
    exact = diagonal_valued_recursion(law.cell).evaluate(law, weights=weights, steps=T)
    free = s_transform_moment(law.cell, 2).evaluate(law, weights=weights, steps=T)
    printed = None
    if law.cell.name == "minimalrnn":
        printed = printed_second_moment(law, weights=weights, steps=T)
    return Row(
        found.weights,
        T,
        Comparison(None, mean, mean, found.measured(j, mean_of)),
        Comparison(printed, free, exact, found.measured(j, second_moment_of)),
        Comparison(printed, free - mean**2, exact - mean**2, found.measured(j, variance_of)),
    )


def _row_of_any_cell(limit: UntiedMoments, found: Drawn, j: int) -> Row:
    """Return the comparison of one number of steps, without a printed formula."""

    def comparison(free: float, exact: Estimate, quantity: Callable) -> Comparison:
        measured = found.measured(j, quantity)
        return Comparison(None, free, exact.value, measured, exact.standard_error)

    mean, second = limit.mean, limit.second_moment
    variance = Estimate(second.value - mean.value**2, second.standard_error)
    return Row(
        found.weights,
        limit.steps,
        comparison(limit.free_mean, mean, mean_of),
        comparison(limit.free_second_moment, second, second_moment_of),
        comparison(limit.free_second_moment - limit.free_mean**2, variance, variance_of),
        one_matrix=False,
    )


def _spectra(
    state: UntiedState, law: TiedLaw | None, drawn: Iterable[MomentSamples]
) -> tuple[tuple[SpectrumComparison, ...], tuple[str, ...]]:
    """Compare the singular values that were kept with their laws, where those are found."""
    compared, missing = [], []
    laws: list[tuple[str, StationaryLaw]] = [("", UntiedLaw(state))]
    if law is not None:
        laws = [(", untied law", UntiedLaw(state)), (", tied law", law)]
    for found in drawn:
        for T, values in found.singular_values.items():
            for kind, stationary_law in laws:
                label = f"{found.weights} W, T = {T}{kind}"
                try:
                    limit = singular_value_law(
                        stationary_law, weights=ensemble_of(found.weights), steps=T,
                        sites=_SITES, tolerance=_TOLERANCE, replicates=0,
                    )  # fmt: skip
                    states = len(state.cell.states)
                    compared.append(compare_spectrum(limit, values, label=label, states=states))
                except (HypothesisError, ConvergenceError) as error:
                    missing.append(f"{label}: {error}")
    return tuple(compared), tuple(missing)


def _measured_s_1(drawn: Iterable[Drawn]) -> Iterator[SCoefficientMeasurement]:
    """Yield s_1 of every ensemble whose W reaches J, so that it can be inferred."""
    for found in drawn:
        if (measured := found.s_1()) is not None:
            exact = float(s_coefficients_of_weights(ensemble_of(found.weights), 1)[0])
            yield SCoefficientMeasurement(found.weights, exact, measured)


def _differences(
    rows: Sequence[Row], drawn: Mapping[Weights, Drawn]
) -> Iterator[EnsembleDifference]:
    if not {"gaussian", "orthogonal"} <= drawn.keys():
        return
    by_key = {(row.weights, row.steps): row.second_moment for row in rows}
    for j, T in enumerate(drawn["gaussian"].steps):
        orthogonal, gaussian = by_key["orthogonal", T], by_key["gaussian", T]
        measured = _difference(drawn["orthogonal"], drawn["gaussian"], orthogonal, gaussian, j)
        (left, left_error), (right, right_error) = orthogonal.best, gaussian.best
        yield EnsembleDifference(T, left - right, measured, math.hypot(left_error, right_error))


def _difference(
    left: Drawn, right: Drawn, orthogonal: Comparison, gaussian: Comparison, j: int
) -> Estimate:
    """Subtract the limits by samples; sites without W are the same for both, and so is their noise.

    The errors of either ratio to the theory on the drawn sites are independent.
    """
    a, b = orthogonal.measured, gaussian.measured
    sites = left.on_sites(j, second_moment_of), right.on_sites(j, second_moment_of)
    errors = [a.limit.standard_error, b.limit.standard_error]
    if sites[0] is not None and sites[1] is not None:
        shared = Estimate.of(a.ratio.value * sites[0] - b.ratio.value * sites[1])
        errors = [shared.standard_error]
        errors += [m.on_sites.value * m.ratio.standard_error for m in (a, b)]
    return Estimate(a.limit.value - b.limit.value, math.hypot(*errors))
