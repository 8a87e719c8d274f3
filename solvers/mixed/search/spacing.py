"""Spaced schedules: per class a first start and a spacing, found by search.

Greedy orders start whatever fits. So equal requests start together, are large together, and end
together: half of the memory is idle on average (docs/worst-cases.md). Here each class (s, o) has a
first start and a least spacing, in sixteenths of a round, and its requests start in order of
arrival, each at the earliest round from then on that has room. A local search over these numbers
looks at some thousand schedules.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

from ....models.instance import Instance, IntArray
from ...random_stream import Stream, random_stream, uniform
from .polish import left_shift
from .profile import NOWHERE, add_run, earliest_start, nothing_held

#: What the search is called.
SPACING = "spaced classes"

#: Most classes, and least requests per class on average, that are spaced.
MOST_CLASSES, LEAST_PER_CLASS = 6, 3

#: Spacings are multiples of 1 / PARTS rounds.
PARTS = 16

#: Schedules that are tried per request.
TRIED_PER_REQUEST = 50

#: Schedules that are tried, and their KV entries, at most.
MOST_TRIED, MOST_ENTRIES = 3000, 100_000_000

#: First spacings, as multiples of KV area / M.
FIRST = (1.0, 1.06, 1.12, 1.18, 1.25, 1.33, 1.42, 1.55, 1.7, 1.9)

#: Schedules, and rounds of them, that are tried whatever the time.
LEAST_TRIED, LEAST_ENTRIES = 400, 20_000_000

#: Runs of annealing, and how much worse, in parts of the sum of starts, they accept at first.
RUNS, WORSE = 3, 0.01

#: More than any sum of starts.
FAR = 2**62

#: Longest schedule that is built.
MOST_ROUNDS = 4_000_000


def _never() -> bool:
    return False


def spaced_schedule(
    instance: Instance, *, seed: int = 0, stop: Callable[[], bool] = _never
) -> IntArray | None:
    """Return the starts of the best spaced schedule found; None where there are many classes.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching).
    seed : int
        Random seed.
    stop : callable, optional
        Asked between schedules; True ends the search.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> n, gpu = 40, Gpu(kv_capacity=144)
    >>> instance = Instance(gpu=gpu, arrival=[0] * n, prompt=[8] * n, output=[40] * n)
    >>> int((spaced_schedule(instance) + 40).sum()) <= 9_400  # every ten rounds; in step: 11,920
    True
    """
    if not are_few_classes(instance):
        return None
    classes = _Classes(instance)
    rounds = int(instance.arrival.max() + instance.output.sum()) + 2
    if rounds > MOST_ROUNDS:
        return None
    entries = int(instance.output.sum()) + rounds
    search = _Search(
        instance,
        classes,
        rounds,
        min(MOST_TRIED, TRIED_PER_REQUEST * instance.n, MOST_ENTRIES // entries),
        stop,
    )
    search.first()
    search.improve(random_stream(seed))
    return search.best_starts(instance)


def are_few_classes(instance: Instance) -> bool:
    """Whether spacings per class make sense: few classes of some requests each.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> are_few_classes(Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4]))
    False
    """
    kinds = instance.prompt * (int(instance.output.max()) + 1) + instance.output
    return instance.n >= LEAST_PER_CLASS * min(MOST_CLASSES + 1, np.unique(kinds).size) and (
        np.unique(kinds).size <= MOST_CLASSES
    )


class _Classes:
    """The requests by class, the classes by KV area, within a class in order of arrival."""

    def __init__(self, instance: Instance) -> None:
        self.M = int(instance.gpu.kv_capacity)
        kinds = np.stack([instance.volume, instance.output, instance.prompt])
        order = np.lexsort([instance.arrival, *kinds[::-1]])
        ordered = kinds[:, order]
        new = np.ones(instance.n, np.bool_)
        new[1:] = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
        self.order = order
        self.first = np.append(np.flatnonzero(new), instance.n)
        self.volume, self.output, self.prompt = ordered[:, new]
        self.arrival = instance.arrival[order]


class _Search:
    """The best numbers, and how many schedules may still be tried."""

    def __init__(
        self,
        instance: Instance,
        classes: _Classes,
        rounds: int,
        most: int,
        stop: Callable[[], bool],
    ) -> None:
        self.classes, self.most, self.stop = classes, most, stop
        self.least = min(most, LEAST_TRIED, LEAST_ENTRIES // rounds + 1)
        self.tried = 0
        self.held = nothing_held(instance, rounds - 1)
        self.empty = self.held.copy()
        self.start = np.zeros(classes.order.size, np.int64)
        self.total = FAR
        self.numbers = np.zeros((2, classes.output.size), np.int64)

    def first(self) -> None:
        """Try no spacing, and all classes spaced alike: one after the other, and all at once."""
        classes = self.classes
        size, count = np.diff(classes.first), classes.output.size
        self._keep(np.zeros((2, count), np.int64), FAR)
        alone = PARTS * classes.volume / classes.M
        for factor in FIRST:
            spacing = factor * alone
            begin = np.cumsum(size * spacing) - size * spacing
            together = (size * spacing).sum() / size
            phase = together * np.arange(count) / count
            for first, apart in ((begin, spacing), (phase, together), (0 * phase, together)):
                if self._goes_on():
                    self._keep(np.stack([first, apart]).astype(np.int64), self.total)

    def improve(self, stream: Stream) -> None:
        """Anneal: one number at a time; what is a little worse is accepted too, less and less."""
        share = max(1, (self.most - self.tried) // RUNS)
        for _ in range(RUNS):
            current, total, left = self.numbers, self.total, share
            while left > 0 and self._goes_on():
                worse = int(WORSE * total * left / share * uniform(stream) ** 2)
                trial = _changed(current, stream)
                found = self._keep(trial, total + worse)
                if found < total + worse:
                    current, total = trial, found
                left -= 1

    def _goes_on(self) -> bool:
        return self.tried < self.most and (self.tried < self.least or not self.stop())

    def _keep(self, numbers: IntArray, limit: int) -> int:
        """Build a schedule, keep its numbers if they are best; its sum, `limit` if larger."""
        self.tried += 1
        total = self._build(numbers, limit)
        if total < self.total:
            self.total, self.numbers = total, numbers
        return total

    def _build(self, numbers: IntArray, limit: int) -> int:
        classes = self.classes
        columns = classes.first, classes.arrival, classes.prompt, classes.output
        self.held[:] = self.empty
        return int(_place(*columns, classes.M, numbers, limit, self.held, self.start))

    def best_starts(self, instance: Instance) -> IntArray:
        """Starts of the best schedule, each as early as it fits."""
        self._build(self.numbers, FAR)
        start = np.empty_like(self.start)
        start[self.classes.order] = self.start
        rows = instance.arrival, instance.prompt, instance.output
        left_shift(*rows, self.classes.M, start, self.held)
        return start


def _changed(numbers: IntArray, stream: Stream) -> IntArray:
    """Change one number, by a quarter of the class's largest at most."""
    numbers = numbers.copy()
    row, place = int(uniform(stream) * 2), int(uniform(stream) * numbers.shape[1])
    reach = max(1.0, 0.25 * int(numbers[:, place].max()) * uniform(stream) ** 3)
    numbers[row, place] += round((2 * uniform(stream) - 1) * (reach + 1))
    return numbers.clip(0)


@njit(cache=True, nogil=True)
def _place(
    first: IntArray,
    arrival: IntArray,
    s: IntArray,
    o: IntArray,
    M: int,
    numbers: IntArray,
    least: int,
    held: IntArray,
    start: IntArray,
) -> int:
    """Fill starts and profile; return the sum of starts, or `least` once it is reached.

    So it does where a request is due too late to fit into the profile: such a schedule is longer
    than one without spacings, which always fits, since a request fits once all others have ended.
    The class whose next request is due first goes on; of equals that of the least KV area.
    """
    count = o.size
    following, due = first[:count].copy(), numbers[0].copy()
    for c in range(count):
        due[c] = max(due[c], PARTS * arrival[first[c]])
    total = np.int64(0)
    for _ in range(arrival.size):
        c = -1
        for each in range(count):
            if following[each] < first[each + 1] and (c < 0 or due[each] < due[c]):
                c = each
        i = following[c]
        k = earliest_start(held, M, s[c], o[c], max(arrival[i], due[c] // PARTS))
        if k == NOWHERE:
            return least
        add_run(held, s[c], o[c], k)
        start[i] = k
        total += k
        if total >= least:
            return least
        following[c] = i + 1
        due[c] = max(due[c], PARTS * k) + numbers[1, c]
        if i + 1 < first[c + 1]:
            due[c] = max(due[c], PARTS * arrival[i + 1])
    return int(total)
