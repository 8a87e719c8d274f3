"""The Gittins index: brute force, what it reduces to, and that it is optimal on one server."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import pytest

from batchprophet.online.gittins import GittinsIndex


def least_ratio(outputs, tokens, setup=0):
    """The definition: the least ratio over all times to stop."""
    longer = [o for o in outputs if o > tokens]
    ratios = []
    for stop in range(1, max(longer) - tokens + 1):
        ended = sum(o - tokens <= stop for o in longer)
        spent = sum(min(o - tokens, stop) + setup for o in longer)
        if ended:
            ratios.append(Fraction(spent, ended))
    return min(ratios)


def test_the_rank_is_the_least_ratio_over_all_times_to_stop():
    rng = np.random.default_rng(1)
    for _ in range(200):
        outputs = rng.integers(1, 15, int(rng.integers(1, 9))).tolist()
        setup = int(rng.integers(0, 6))
        index = GittinsIndex(outputs)
        for tokens in range(max(outputs)):
            expected = float(least_ratio(outputs, tokens, setup))
            assert index.rank(tokens, setup) == expected


def test_weights_are_multiplicities():
    rng = np.random.default_rng(2)
    for _ in range(50):
        outputs = rng.integers(1, 15, 5)
        weights = rng.integers(1, 4, 5)
        one, other = GittinsIndex(outputs, weights), GittinsIndex(np.repeat(outputs, weights))
        assert [one.rank(g) for g in range(15)] == [other.rank(g) for g in range(15)]


def test_a_weight_beyond_counts_as_lengths_that_are_never_reached():
    index, far = GittinsIndex([2, 5], beyond=3), GittinsIndex([2, 5] + [10**6] * 3)
    assert [index.rank(g) for g in range(5)] == [far.rank(g) for g in range(5)]


def test_one_length_leaves_what_remains():
    # A length that is known: shortest remaining first.
    index = GittinsIndex([9] * 4)
    assert [index.rank(g) for g in range(9)] == [9 - g for g in range(9)]


def test_a_falling_hazard_makes_it_least_attained_service():
    # Hazards 1/2, 1/3, 1/4, …: the rank is 1/hazard of the next token, which rises.
    index = GittinsIndex(range(1, 9), [1 / (k * (k + 1)) for k in range(1, 9)], beyond=1 / 9)
    ranks = [index.rank(g) for g in range(8)]
    assert ranks == pytest.approx([g + 2 for g in range(8)])
    assert [GittinsIndex([]).rank(g) for g in range(4)] == [1, 1, 2, 3]


def test_serving_the_least_rank_is_optimal_on_one_server():
    """All at 0, lengths drawn alike and independently: dynamic programming over the tokens."""
    rng = np.random.default_rng(3)
    beaten = 0
    for _ in range(12):
        outputs = sorted(rng.integers(1, 9, 4).tolist())
        index = GittinsIndex(outputs)

        def value(choose, outputs=outputs):
            @cache
            def after(state):
                """Expected sum of completion times from now on."""
                if not state:
                    return Fraction(0)
                return choose([serve(state, at) for at in range(len(state))], state)

            def serve(state, at):
                longer = [o for o in outputs if o > state[at]]
                ends = Fraction(sum(o == state[at] + 1 for o in longer), len(longer))
                others = state[:at] + state[at + 1 :]
                total = Fraction(len(state))
                if ends:
                    total += ends * after(others)
                if ends < 1:
                    total += (1 - ends) * after(tuple(sorted((*others, state[at] + 1))))
                return total

            return after((0, 0, 0))

        optimum = value(lambda values, _: min(values))
        ranked = value(
            lambda values, state, rank=index.rank: values[np.argmin([rank(g) for g in state])]
        )
        in_turn = value(lambda values, _: values[-1])  # the most tokens first: one after another
        assert ranked == optimum <= in_turn
        beaten += ranked < in_turn
    assert beaten >= 3
