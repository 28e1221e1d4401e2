"""The public names: the one place that lists them."""

from . import (
    cells as cells,
    comparison as comparison,
    derive as derive,
    eigenvalues as eigenvalues,
    errors as errors,
    freeprob as freeprob,
    initialization as initialization,
    jax as jax,
    keras as keras,
    laws as laws,
    lyapunov as lyapunov,
    mean_field as mean_field,
    networks as networks,
    pencils as pencils,
    plotting as plotting,
    runs as runs,
    sampling as sampling,
    singular_values as singular_values,
    torch as torch,
)
from .cells import (
    Cell as Cell,
    Parameters as Parameters,
    Preactivation as Preactivation,
    activation_named as activation_named,
    cell_named as cell_named,
    gru as gru,
    gru_reset_after as gru_reset_after,
    leaky as leaky,
    lstm as lstm,
    lstm_peephole as lstm_peephole,
    minimalrnn as minimalrnn,
    vanilla as vanilla,
)
from .comparison import (
    SpectrumComparison as SpectrumComparison,
    Verification as Verification,
    compare as compare,
    freeness_of_cell as freeness_of_cell,
    freeness_test as freeness_test,
    sample_moments as sample_moments,
    verify as verify,
)
from .derive import (
    Derivation as Derivation,
    exact_mean as exact_mean,
    exact_second_moment as exact_second_moment,
    exact_variance as exact_variance,
    one_step_moment as one_step_moment,
    one_step_variance as one_step_variance,
    s_transform_moment as s_transform_moment,
    s_transform_variance as s_transform_variance,
)
from .eigenvalues import (
    EigenvalueLaw as EigenvalueLaw,
    eigenvalue_law as eigenvalue_law,
)
from .errors import (
    ConvergenceError as ConvergenceError,
    HypothesisError as HypothesisError,
    InfeasibleError as InfeasibleError,
    NotFiniteError as NotFiniteError,
    ParameterError as ParameterError,
    RmtJacobianError as RmtJacobianError,
    SpecificationError as SpecificationError,
    UndefinedTransformError as UndefinedTransformError,
)
from .initialization import (
    critical_initialization as critical_initialization,
)
from .lyapunov import (
    LyapunovLaw as LyapunovLaw,
    lyapunov_law as lyapunov_law,
)
from .mean_field import (
    LawAtRest as LawAtRest,
    StationaryLaw as StationaryLaw,
    TiedLaw as TiedLaw,
    UntiedLaw as UntiedLaw,
    critical_weights as critical_weights,
    feasible_preactivation_variances as feasible_preactivation_variances,
    order_chaos_line as order_chaos_line,
    stationary as stationary,
    trajectory as trajectory,
)
from .networks import (
    Network as Network,
    Trajectory as Trajectory,
)
from .plotting import (
    plot as plot,
)
from .sampling import (
    run_network as run_network,
    sample_eigenvalues as sample_eigenvalues,
    sample_lyapunov as sample_lyapunov,
    sample_singular_values as sample_singular_values,
)
from .singular_values import (
    SingularValueLaw as SingularValueLaw,
    moments as moments,
    singular_value_law as singular_value_law,
)

__version__: str
