import pytest
import sympy as sp

from rmt_jacobian.cells import Cell, Preactivation, cell_named, derivative, minimalrnn, vanilla
from rmt_jacobian.errors import ParameterError, SpecificationError

h, c, x, e, g, foreign = sp.symbols("h c x e g foreign", real=True)
PLAIN = Preactivation("update", e, h)


def test_a_source_may_read_earlier_preactivations() -> None:
    later = Preactivation("candidate", g, h * sp.tanh(e))
    cell = Cell("ok", (h,), x, (PLAIN, later), (sp.tanh(g) * x,))
    assert cell.gates == (e, g)
    assert cell.source_gate_derivatives[1] == (h * (1 - sp.tanh(e) ** 2), 0)
    assert cell.source_gate_derivatives[0] == (0, 0)


@pytest.mark.parametrize(
    ("preactivations", "updates", "message"),
    [
        ((PLAIN,), (sp.tanh(e) * foreign,), "update of h reads foreign"),
        ((Preactivation("update", e, h + foreign),), (sp.tanh(e),), "source of 'update' reads"),
        ((Preactivation("update", e, h + e),), (sp.tanh(e),), "reads e, which it cannot"),
        ((Preactivation("update", e, g), Preactivation("b", g, h)), (e + g,), "reads g"),
        ((Preactivation("update", e, x),), (sp.tanh(e),), "reads x"),
        ((PLAIN,), (sp.tanh(sp.Symbol("e")),), "reads e"),  # another symbol of the same name
    ],
    ids=["unknown in update", "unknown in source", "itself", "later", "input", "namesake"],
)
def test_what_may_not_be_read(preactivations: tuple, updates: tuple, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        Cell("bad", (h,), x, preactivations, updates)


@pytest.mark.parametrize(
    ("states", "updates"),
    [((), ()), ((h,), ()), ((h,), (h, e)), ((h, c), (sp.tanh(e),))],
)
def test_one_update_for_each_state(states: tuple, updates: tuple) -> None:
    with pytest.raises(SpecificationError, match="one update for each state"):
        Cell("bad", states, x, (PLAIN,), updates)


@pytest.mark.parametrize(
    ("states", "input_symbol", "preactivations"),
    [
        ((h, h), x, (PLAIN,)),
        ((h,), h, (PLAIN,)),
        ((h,), e, (PLAIN,)),
        ((h,), x, (PLAIN, Preactivation("other", e, h))),
        ((h,), x, (Preactivation("update", h, h),)),
    ],
)
def test_symbols_used_twice(states: tuple, input_symbol: sp.Symbol, preactivations: tuple) -> None:
    with pytest.raises(SpecificationError, match="a symbol twice"):
        Cell("bad", states, input_symbol, preactivations, states)


def test_preactivations_named_alike() -> None:
    with pytest.raises(SpecificationError, match="two preactivations alike"):
        Cell("bad", (h,), x, (PLAIN, Preactivation("update", g, h)), (sp.tanh(e + g),))


def test_text_is_never_executed() -> None:
    with pytest.raises((SpecificationError, sp.SympifyError)):
        Cell("bad", (h,), x, (PLAIN,), ("__import__('os').getcwd()",))  # pyright: ignore


def test_a_constant_update_may_be_a_python_number() -> None:
    cell = Cell("constant", (h,), x, (PLAIN,), (0,))  # pyright: ignore[reportArgumentType]
    assert cell.state_derivatives == ((0,),)


def test_derivative_against_sympy() -> None:
    expression = (1 - sp.tanh(e)) * h**3 + x * sp.exp(e * h)
    for symbol in (e, h, x, g):
        assert sp.simplify(derivative(expression, symbol) - sp.diff(expression, symbol)) == 0


@pytest.mark.parametrize("cell", [minimalrnn, vanilla])
def test_cells_are_found_by_name(cell: Cell) -> None:
    assert cell_named(cell.name) is cell


@pytest.mark.parametrize(
    ("name", "hint"), [("minimalrn", "did you mean minimalrnn"), ("q", "known")]
)
def test_unknown_cells(name: str, hint: str) -> None:
    with pytest.raises(ParameterError, match=hint):
        cell_named(name)
