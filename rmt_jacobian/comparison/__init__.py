"""Theory against samples: rows, z-scores, verdicts and reports."""

from rmt_jacobian.comparison.diagonal_moments import DiagonalMoments, FreeMoments
from rmt_jacobian.comparison.distances import (
    LineLaw,
    finite_size_null,
    ks_distance,
    resampled_null,
    wasserstein_distance,
    wasserstein_null,
)
from rmt_jacobian.comparison.freeness import (
    CellFreeness,
    FreenessRow,
    FreenessTest,
    freeness_of_cell,
    freeness_test,
)
from rmt_jacobian.comparison.limits import LimitMoments, UntiedMoments, limit_moments
from rmt_jacobian.comparison.matrix_free import LanczosComparison, compare_lanczos
from rmt_jacobian.comparison.measured import Estimate, Measured, WidthPair
from rmt_jacobian.comparison.moment_samples import MomentSamples, sample_moments
from rmt_jacobian.comparison.own_values import checked_law, checked_values, compare
from rmt_jacobian.comparison.report import to_json, to_markdown, to_text
from rmt_jacobian.comparison.rows import Comparison, Row, verdict, verdict_of_all
from rmt_jacobian.comparison.signal_propagation import (
    CorrelationPath,
    FixedPointCurve,
    SampledPath,
    SignalPropagation,
    Transition,
    signal_propagation,
)
from rmt_jacobian.comparison.spectra import SpectrumComparison, compare_spectrum
from rmt_jacobian.comparison.verification import (
    EnsembleDifference,
    SCoefficientMeasurement,
    Verification,
    verify,
)

__all__ = [
    "CellFreeness",
    "Comparison",
    "CorrelationPath",
    "DiagonalMoments",
    "EnsembleDifference",
    "Estimate",
    "FixedPointCurve",
    "FreeMoments",
    "FreenessRow",
    "FreenessTest",
    "LanczosComparison",
    "LimitMoments",
    "LineLaw",
    "Measured",
    "MomentSamples",
    "Row",
    "SCoefficientMeasurement",
    "SampledPath",
    "SignalPropagation",
    "SpectrumComparison",
    "Transition",
    "UntiedMoments",
    "Verification",
    "WidthPair",
    "checked_law",
    "checked_values",
    "compare",
    "compare_lanczos",
    "compare_spectrum",
    "finite_size_null",
    "freeness_of_cell",
    "freeness_test",
    "ks_distance",
    "limit_moments",
    "resampled_null",
    "sample_moments",
    "signal_propagation",
    "to_json",
    "to_markdown",
    "to_text",
    "verdict",
    "verdict_of_all",
    "verify",
    "wasserstein_distance",
    "wasserstein_null",
]
