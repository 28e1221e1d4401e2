r"""Closed paths through the blocks of a Jacobian: the words whose traces make a moment.

With d states J is a d x d matrix of polynomials in diagonal letters and W_k, and

.. math::
    \frac1d \sum_i \tau\bigl( ((J J^T)^k)_{ii} \bigr) = \frac1d \sum_{i_1, j_1, \ldots, i_k, j_k}
    \tau\bigl( J_{i_1 j_1} J_{i_2 j_1}^T J_{i_2 j_2} \cdots J_{i_1 j_k}^T \bigr) .

Most of these words have no trace: every W_k must stand as often as its transpose.  So the product
is cut into two halves, of which only those that balance each other are joined, and words are kept
as tuples of whole numbers until equal ones have been counted.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TypeAlias

import sympy as sp

from rmt_jacobian.freeprob import Diagonal, RDiagonal, Word

__all__ = ["Blocks", "closed_words"]

Blocks: TypeAlias = tuple[tuple[tuple[Word, ...], ...], ...]
"""The words of every block, rows of columns."""

_Letters: TypeAlias = tuple[int, ...]
"""A product of diagonal letters, sorted."""
_Pairs: TypeAlias = tuple[tuple[int, _Letters], ...]
"""Random letters, 2 k for W_k and 2 k + 1 for its transpose, and the diagonal to the right."""
_Open: TypeAlias = tuple[_Letters, _Pairs]
"""A word: the diagonal at its left end, and the rest."""
_Sums: TypeAlias = list[list[Counter[_Open]]]


def closed_words(blocks: Blocks, k: int) -> dict[Word, int]:
    """Return the words that the trace of (J J^T)^k is the sum of, and how often each stands there.

    Words that are equal up to rotation or transposition have one representative; those in which a
    W stands more often than its transpose, or less, are left out.

    Parameters
    ----------
    blocks
        J, in letters :class:`~rmt_jacobian.freeprob.Diagonal` of single symbols and
        :class:`~rmt_jacobian.freeprob.RDiagonal`.
    k
        The power, at least 1.

    Examples
    --------
    >>> a, b = sp.symbols("a b")
    >>> A, B, W = Diagonal(a), Diagonal(b), RDiagonal("W")
    >>> found = closed_words(((((A,), (B, W)),),), 1)
    >>> sorted(len(word) for word in found), sum(found.values())  # A^2 and W W^T B^2
    ([1, 3], 2)
    """
    alphabet = _Alphabet.of(blocks)
    J = [[Counter(map(alphabet.open, words)) for words in row] for row in blocks]
    turned = [
        [Counter({_turned(word): n for word, n in J[j][i].items()}) for j in range(len(J))]
        for i in range(len(J))
    ]
    square = _product(J, turned)
    powers = [square]
    while len(powers) < k - k // 2:
        powers.append(_product(powers[-1], square))
    found: Counter[_Open] = Counter()
    one: Counter[_Open] = Counter({((), ()): 1})
    for i, row in enumerate(powers[k - k // 2 - 1]):
        for j, entry in enumerate(row):
            if k > 1:
                _join(entry, powers[k // 2 - 1][j][i], found)
            elif i == j:
                _join(entry, one, found)
    return {alphabet.word(word): count for word, count in found.items()}


@dataclass(frozen=True)
class _Alphabet:
    """The letters by number."""

    diagonals: list[sp.Expr]
    names: list[str]

    @classmethod
    def of(cls, blocks: Blocks) -> "_Alphabet":
        letters = [letter for row in blocks for words in row for word in words for letter in word]
        diagonals = [letter.value for letter in letters if isinstance(letter, Diagonal)]
        names = [letter.name for letter in letters if isinstance(letter, RDiagonal)]
        return cls(list(dict.fromkeys(diagonals)), list(dict.fromkeys(names)))

    def open(self, word: Word) -> _Open:
        left: _Letters = ()
        pairs: list[tuple[int, _Letters]] = []
        for letter in word:
            if isinstance(letter, RDiagonal):
                pairs.append((2 * self.names.index(letter.name) + letter.adjoint, ()))
                continue
            assert isinstance(letter, Diagonal)
            number = (self.diagonals.index(letter.value),)
            if pairs:
                pairs[-1] = pairs[-1][0], _merged(pairs[-1][1], number)
            else:
                left = _merged(left, number)
        return left, tuple(pairs)

    def word(self, word: _Open) -> Word:
        left, pairs = word
        letters = list(self._diagonal(left))
        for random, right in pairs:
            letters.append(RDiagonal(self.names[random // 2], bool(random % 2)))
            letters += self._diagonal(right)
        return tuple(letters)

    def _diagonal(self, product: _Letters) -> Word:
        if not product:
            return ()
        return (Diagonal(sp.Mul(*(self.diagonals[number] for number in product))),)


def _merged(a: _Letters, b: _Letters) -> _Letters:
    return tuple(sorted(a + b)) if a and b else a or b


def _times(a: _Open, b: _Open) -> _Open:
    (left, pairs), (inner, rest) = a, b
    if not pairs:
        return _merged(left, inner), rest
    random, right = pairs[-1]
    return left, (*pairs[:-1], (random, _merged(right, inner)), *rest)


def _turned(word: _Open) -> _Open:
    """Return the transpose."""
    left, pairs = word
    diagonals = [left, *(right for _, right in pairs)]
    turned = tuple((pairs[i][0] ^ 1, diagonals[i]) for i in reversed(range(len(pairs))))
    return diagonals[-1], turned


def _product(left: _Sums, right: _Sums) -> _Sums:
    columns = list(zip(*right, strict=True))
    return [[_sum_of_products(row, column) for column in columns] for row in left]


def _sum_of_products(row: list[Counter[_Open]], column: tuple[Counter[_Open], ...]) -> Counter:
    total: Counter[_Open] = Counter()
    for a, b in zip(row, column, strict=True):
        for one, n in a.items():
            for other, m in b.items():
                total[_times(one, other)] += n * m
    return total


def _excess(word: _Open) -> tuple[tuple[int, int], ...]:
    """Return how much more often every W stands in a word than its transpose."""
    count: dict[int, int] = defaultdict(int)
    for random, _ in word[1]:
        count[random // 2] += 1 - 2 * (random % 2)
    return tuple(sorted((name, n) for name, n in count.items() if n))


def _join(left: Counter[_Open], right: Counter[_Open], found: Counter[_Open]) -> None:
    """Add the closed products that have a balance."""
    groups: dict[tuple[tuple[int, int], ...], list[tuple[_Open, int]]] = defaultdict(list)
    for word, count in right.items():
        groups[_excess(word)].append((word, count))
    for word, count in left.items():
        for other, times in groups[tuple((name, -n) for name, n in _excess(word))]:
            found[_closed(_times(word, other))] += count * times


def _closed(word: _Open) -> _Open:
    """Return one representative of all rotations of a word and of its transpose."""
    left, pairs = word
    if not pairs:
        return word
    ring = (*pairs[:-1], (pairs[-1][0], _merged(pairs[-1][1], left)))
    other = _turned(((), ring))
    # The transpose starts with the diagonal that stood last: it is moved to the end.
    back = (*other[1][:-1], (other[1][-1][0], _merged(other[1][-1][1], other[0])))
    return (), min(way[i:] + way[:i] for way in (ring, back) for i in range(len(ring)))
