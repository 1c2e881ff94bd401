"""A trigram model with interpolated, modified Kneser–Ney smoothing: the bar a pretrained base must clear.

Source: Chen and Goodman 1999, "An empirical study of smoothing techniques for language modeling", §4.2 (interpolated form,
discounts D1, D2, D3+ from the counts of counts). Orders below the highest count distinct left neighbours instead of
occurrences. The lowest order interpolates with the uniform distribution, so every token has a positive probability.

Legend: T tokens, U distinct n-grams, C distinct contexts, N queries. An n-gram (a, b, c) is the integer (a·V + b)·V + c, so
its context is key // V and its lower-order n-gram key % V²: sorted keys make counting and looking up a matter of `searchsorted`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instructloop.errors import DataError

Keys = NDArray[np.int64]
Floats = NDArray[np.float64]

_ORDER = 3
_LARGEST_VOCAB = 1 << 20


@dataclass(frozen=True)
class _Order:
    """One order of the model: discounted relative frequencies, and the mass each context hands down."""

    keys: Keys
    shares: NDArray[np.float32]
    contexts: Keys
    masses: NDArray[np.float32]


@dataclass(frozen=True)
class Trigram:
    """A trained model; `orders` from unigrams to trigrams."""

    vocab: int
    orders: tuple[_Order, ...]

    def probabilities(self, history_N: NDArray[Any], token_N: NDArray[Any]) -> Floats:
        """P(token | two tokens before) [N]; `history_N` is [N, 2], oldest first."""
        key_N = _keys(np.concatenate([np.asarray(history_N), np.asarray(token_N)[:, None]], axis=1).T, self.vocab)
        probability_N = np.full(len(key_N), 1 / self.vocab)
        for n, order in enumerate(self.orders, start=1):
            probability_N = _interpolate(order, key_N % self.vocab**n, self.vocab, probability_N)
        return probability_N

    def token_nll(self, tokens_T: NDArray[Any], *, chunk: int = 1 << 20) -> Floats:
        """−log P of every token but the first two, in nats [T − 2]."""
        tokens_T = np.asarray(tokens_T)
        _check(tokens_T, self.vocab)
        nll: list[Floats] = []
        for start in range(2, len(tokens_T), chunk):
            end = min(start + chunk, len(tokens_T))
            history_N = np.stack([tokens_T[start - 2 : end - 2], tokens_T[start - 1 : end - 1]], axis=1)
            nll.append(-np.log(self.probabilities(history_N, tokens_T[start:end])))
        return np.concatenate(nll)

    def mean_nll(self, tokens_T: NDArray[Any]) -> float:
        """Mean −log P per token in nats, over all tokens but the first two."""
        return float(self.token_nll(tokens_T).mean())


def train_trigram(tokens_T: NDArray[Any], *, vocab: int) -> Trigram:
    """Count a stream of token ids [T] (documents one after another, end tokens between) and smooth.

    Raises DataError for fewer than three tokens, ids outside the vocabulary, or a vocabulary above 2²⁰.
    """
    tokens_T = np.asarray(tokens_T)
    _check(tokens_T, vocab)
    keys = _keys((tokens_T[:-2], tokens_T[1:-1], tokens_T[2:]), vocab)
    orders: list[_Order] = []
    for n in range(_ORDER, 0, -1):
        key_U, count_U = _count(keys)
        orders.append(_smooth(key_U, count_U, vocab))
        keys = key_U % vocab ** (n - 1)
    return Trigram(vocab, tuple(reversed(orders)))


def _check(tokens_T: NDArray[Any], vocab: int) -> None:
    if not 1 <= vocab <= _LARGEST_VOCAB:
        raise DataError(
            f"a vocabulary of {vocab} tokens", expected=f"at most {_LARGEST_VOCAB}: three ids share 63 bits", remedy="use a smaller tokenizer"
        )
    if tokens_T.ndim != 1 or len(tokens_T) < _ORDER:
        raise DataError(f"token ids of shape {tokens_T.shape}", expected="one array of at least three ids", remedy="give more text")
    if int(tokens_T.min()) < 0 or int(tokens_T.max()) >= vocab:
        raise DataError(
            f"token ids from {tokens_T.min()} to {tokens_T.max()}",
            expected=f"0 to {vocab - 1}",
            remedy="use the tokenizer the model was counted with",
        )


def _keys(columns: Any, vocab: int) -> Keys:
    first, *rest = columns
    keys = np.array(first, dtype=np.int64)
    for column in rest:
        keys *= vocab
        keys += column
    return keys


def _count(keys: Keys) -> tuple[Keys, NDArray[np.int64]]:
    """Distinct keys, ascending, and how often each occurs; sorts in place to keep one copy in memory."""
    keys.sort()
    start_U = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return keys[start_U], np.diff(start_U, append=len(keys))


def _smooth(key_U: Keys, count_U: NDArray[np.int64], vocab: int) -> _Order:
    discount_U = _discounts(count_U)[np.minimum(count_U, 3)]
    context_U = key_U // vocab
    start_C = np.flatnonzero(np.concatenate(([True], context_U[1:] != context_U[:-1])))
    total_C = np.add.reduceat(count_U, start_C)
    mass_C = np.add.reduceat(discount_U, start_C) / total_C
    share_U = (count_U - discount_U) / np.repeat(total_C, np.diff(start_C, append=len(key_U)))
    return _Order(key_U, share_U.astype(np.float32), context_U[start_C], mass_C.astype(np.float32))


def _discounts(count_U: NDArray[np.int64]) -> Floats:
    """What is taken from n-grams seen 0, 1, 2, 3 or more times [Chen & Goodman eq. 26]; ½ each where the counts are too few to say."""
    seen = np.bincount(np.minimum(count_U, 5), minlength=6)[1:5].astype(np.float64)
    if not seen.all():
        return np.array([0, 0.5, 0.5, 0.5])
    shrink = seen[0] / (seen[0] + 2 * seen[1])
    places = np.arange(1, 4)
    raw = places - (places + 1) * shrink * seen[1:] / seen[:-1]
    return np.concatenate(([0.0], np.where(raw > 0, raw, 0.5)))


def _interpolate(order: _Order, key_N: Keys, vocab: int, lower_N: Floats) -> Floats:
    """share(n-gram) + mass(context) · lower; an unseen context leaves everything to the lower order."""
    place_N = np.minimum(np.searchsorted(order.keys, key_N), len(order.keys) - 1)
    share_N = np.where(order.keys[place_N] == key_N, order.shares[place_N], 0.0)
    context_N = key_N // vocab
    place_N = np.minimum(np.searchsorted(order.contexts, context_N), len(order.contexts) - 1)
    mass_N = np.where(order.contexts[place_N] == context_N, order.masses[place_N], 1.0)
    return share_N + mass_N * lower_N
