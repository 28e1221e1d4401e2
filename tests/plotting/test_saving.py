import pytest
from matplotlib.figure import Figure

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.plotting import check_figure_path, save_figure

SIGNATURES = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


@pytest.fixture
def figure() -> Figure:
    figure = Figure()
    figure.subplots().plot([0, 1])
    return figure


@pytest.mark.parametrize("kind", SIGNATURES)
def test_format_follows_the_suffix(figure, tmp_path, kind):
    path = save_figure(figure, tmp_path / "new folder" / f"figure.{kind.upper()}")
    assert path.read_bytes().startswith(SIGNATURES[kind])
    assert [item.name for item in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["figure", "figure.bmp", "figure.tar.gz"])
def test_unknown_suffix_names_the_known_ones(figure, tmp_path, name):
    with pytest.raises(ParameterError, match=r"\.png, \.pdf or \.svg"):
        save_figure(figure, tmp_path / name)
    with pytest.raises(ParameterError, match=r"\.png, \.pdf or \.svg"):
        check_figure_path(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_cannot_be_written(figure, tmp_path):
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(ParameterError, match=r"cannot write .*taken\.png"):
        save_figure(figure, tmp_path / "taken.png")


def test_a_file_is_no_folder(figure, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ParameterError, match="cannot write"):
        save_figure(figure, tmp_path / "file" / "figure.png")
