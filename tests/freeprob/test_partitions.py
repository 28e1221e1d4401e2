import pytest
import sympy as sp
from hypothesis import given, strategies as st

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.freeprob import (
    RDiagonal,
    alternating_noncrossing_partitions,
    is_noncrossing,
    kreweras_complement,
    noncrossing_partitions,
)
from tests.known_laws import fuss_catalan

W, V = RDiagonal("W"), RDiagonal("V")
LETTERS = st.sampled_from([W, W.adjoint_letter, V, V.adjoint_letter])


def crosses(partition):
    owner = {element: i for i, block in enumerate(partition) for element in block}
    n = len(owner)
    return any(
        owner[a] == owner[c] != owner[b] == owner[d]
        for a in range(1, n + 1)
        for b in range(a + 1, n + 1)
        for c in range(b + 1, n + 1)
        for d in range(c + 1, n + 1)
    )


@pytest.mark.parametrize("n", range(9))
def test_there_are_catalan_many(n):
    partitions = list(noncrossing_partitions(n))
    assert len(partitions) == len(set(partitions)) == sp.catalan(n)
    for partition in partitions:
        assert sorted(element for block in partition for element in block) == [*range(1, n + 1)]
        assert partition == tuple(sorted(tuple(sorted(block)) for block in partition))
        assert not crosses(partition)


@pytest.mark.parametrize("n", range(1, 8))
def test_block_counts_are_narayana_numbers(n):
    partitions = list(noncrossing_partitions(n))
    for k in range(1, n + 1):
        expected = sp.binomial(n, k) * sp.binomial(n, k - 1) / n
        assert sum(len(partition) == k for partition in partitions) == expected


@given(st.lists(st.integers(min_value=0, max_value=3), min_size=1, max_size=8))
def test_is_noncrossing_against_the_definition(labels):
    partition = [
        [i for i, other in enumerate(labels, start=1) if other == label] for label in set(labels)
    ]
    assert is_noncrossing(partition) is not crosses(partition)


@pytest.mark.parametrize("n", range(1, 7))
def test_kreweras_complement(n):
    for partition in noncrossing_partitions(n):
        complement = kreweras_complement(partition, n)
        assert len(partition) + len(complement) == n + 1
        # Interleaved 1, 1', 2, 2', ... the two together do not cross.
        both = [[2 * i - 1 for i in block] for block in partition]
        both += [[2 * i for i in block] for block in complement]
        assert not crosses(both)
        rotated = sorted(tuple(sorted((i - 2) % n + 1 for i in block)) for block in partition)
        assert kreweras_complement(complement, n) == tuple(rotated)


def alternates(block, letters):
    chosen = [letters[i - 1] for i in block]
    around = zip(chosen, [*chosen[1:], chosen[0]], strict=True)
    return all(one.name == other.name and one.adjoint != other.adjoint for one, other in around)


@given(st.lists(LETTERS, max_size=8))
def test_alternating_partitions_against_a_filter(letters):
    expected = {
        partition
        for partition in noncrossing_partitions(len(letters))
        if all(alternates(block, letters) for block in partition)
    }
    found = list(alternating_noncrossing_partitions(letters))
    assert len(found) == len(set(found))
    assert set(found) == expected


@pytest.mark.parametrize("k", range(6))
def test_alternating_words_have_fuss_catalan_many(k):
    letters = (W, W.adjoint_letter) * k
    assert len(list(alternating_noncrossing_partitions(letters))) == fuss_catalan(k, 2)


def test_bad_arguments_are_refused():
    with pytest.raises(ParameterError, match="at least 0"):
        noncrossing_partitions(-1)
    with pytest.raises(ParameterError, match="exactly once"):
        kreweras_complement(((1, 2),), 3)
    with pytest.raises(ParameterError, match="cross"):
        kreweras_complement(((1, 3), (2, 4)), 4)
