"""The times of all schedules of tiny instances, found by going through them one after another."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np

from batchprophet.models.durations import batch_durations
from tests.brute_force_continuous import _Rules


def every_mixed(instance):
    """(first tokens, completions) of each schedule that ends by the serial one's end."""
    M = instance.gpu.kv_capacity
    a, s, o = (x.tolist() for x in (instance.arrival, instance.prompt, instance.output))
    end = max(a) + sum(o)
    for start in product(*(range(a_i, end - o_i + 1) for a_i, o_i in zip(a, o, strict=True))):
        held = np.zeros(end + 1, dtype=int)
        for k, s_i, o_i in zip(start, s, o, strict=True):
            held[k + 1 : k + o_i + 1] += s_i + np.arange(1, o_i + 1)
        if held.max() <= M:
            yield np.array(start) + 1, np.array(start) + o


def every_separate(instance, *, wait=0):
    """(first tokens, completions) of each order of batches, each up to `wait` units late."""
    n, gpu, law = instance.n, instance.gpu, batch_durations(instance)
    a, s, o = (x.tolist() for x in (instance.arrival, instance.prompt, instance.output))
    found, first = set(), (0, (0,) * n, (0,) * n, (0,) * n)
    seen, new = {first}, [first]
    while new:
        now, tokens, firsts, ends = new.pop()
        if all(g == x for g, x in zip(tokens, o, strict=True)):
            found.add((firsts, ends))
            continue
        waiting = [i for i in range(n) if tokens[i] == 0]
        running = [i for i in range(n) if 0 < tokens[i] < o[i]]
        for pool, prompts in ((waiting, True), (running, False)):
            for members in (c for k in range(1, len(pool) + 1) for c in combinations(pool, k)):
                p = sum(s[i] for i in members)
                most = gpu.prompt_batch_requests if prompts else gpu.token_batch_requests
                if len(members) > (most or n):
                    continue
                if prompts and p > (gpu.prompt_batch_tokens or p):
                    continue
                after = tuple(g + (i in members) for i, g in enumerate(tokens))
                alive = [i for i in range(n) if after[i] > 0 and tokens[i] < o[i]]
                if sum(s[i] + after[i] for i in alive) > gpu.kv_capacity:
                    continue
                begin = max(now, *(a[i] for i in members), 0) if prompts else now
                kv = sum(s[i] + tokens[i] for i in members)
                took = law.prompt_batch(p) if prompts else law.token_batch(len(members), kv)
                for end in range(begin + took, begin + took + wait + 1):
                    state = (
                        end,
                        after,
                        tuple(end if prompts and i in members else f for i, f in enumerate(firsts)),
                        tuple(
                            end if i in members and after[i] == o[i] else c
                            for i, c in enumerate(ends)
                        ),
                    )
                    if state not in seen:
                        seen.add(state)
                        new.append(state)
    yield from ((np.array(f), np.array(c)) for f, c in found)


def every_continuous(instance, *, most_states=200_000):
    """(first tokens, completions) of each order of batches; None where there are too many."""
    rules, n = _Rules(instance, "latency"), instance.n
    first = (0, ((0, 0, False),) * n, (0,) * n, (0,) * n)
    found, seen, new = set(), {first}, [first]
    # Caches are dropped again and again: nothing is gained beyond the serial end.
    latest = int(instance.arrival.max()) + 3 * sum(
        rules.batch_time(s, 0, 0) + o * rules.batch_time(0, 1, s + o)
        for s, o in zip(rules.s, rules.o, strict=True)
    )
    while new:
        now, state, firsts, ends = new.pop()
        if all(g == rules.o[i] for i, (g, _, _) in enumerate(state)):
            found.add((firsts, ends))
            continue
        for _, end, chosen in rules.batches(now, state):
            if end > latest:
                continue
            after, f, c = [], list(firsts), list(ends)
            for i, (_, _, _, (g, cache, ready)) in enumerate(chosen):
                if g == 1 and state[i][0] == 0:
                    f[i] = end
                if g == rules.o[i] and state[i][0] < g:
                    c[i] = end
                after.append((g, 0, False) if g == rules.o[i] else (g, cache, ready))
            reached = (end, tuple(after), tuple(f), tuple(c))
            if reached not in seen:
                seen.add(reached)
                new.append(reached)
                if len(seen) > most_states:
                    return None
    return [(np.array(f), np.array(c)) for f, c in found]
