"""Theory against samples: rows, z-scores, verdicts and reports."""

from rmt_jacobian.compare.report import to_json, to_markdown, to_text
from rmt_jacobian.compare.rows import Comparison, Estimate, Row, verdict
from rmt_jacobian.compare.signal_propagation import (
    CorrelationPath,
    FixedPointCurve,
    SampledPath,
    SignalPropagation,
    Transition,
    signal_propagation,
)
from rmt_jacobian.compare.verification import (
    EnsembleDifference,
    SCoefficientMeasurement,
    Verification,
    verify,
)

__all__ = [
    "Comparison",
    "CorrelationPath",
    "EnsembleDifference",
    "Estimate",
    "FixedPointCurve",
    "Row",
    "SCoefficientMeasurement",
    "SampledPath",
    "SignalPropagation",
    "Transition",
    "Verification",
    "signal_propagation",
    "to_json",
    "to_markdown",
    "to_text",
    "verdict",
    "verify",
]
