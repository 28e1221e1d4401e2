"""Products of Jacobians that share their W: one random matrix at T places of the chain."""

# They register what solves and continues these chains.
from rmt_jacobian.pencils.shared import continuation, moments, newton  # noqa: F401
