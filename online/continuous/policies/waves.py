"""Admission in waves, whose size is chosen by simulating what is there to its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ....models.continuous.problem import limits
from ....models.continuous.schedule import ContinuousSchedule
from ....models.durations import Durations, batch_durations
from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ...coupling.history import History
from ...learned_lengths import LearnedLengths
from ...lengths import Told
from ...options import require_integer
from ...protocol import Run
from ..batch_builder import BatchBuilder
from ..decision import ContinuousDecision
from ..observation import ContinuousObservation, ContinuousView
from ..ranked import RankedPolicy
from ..rule_policy import longest
from .least_work import LeastWork

#: Most samples a decision may ask for.
MOST_SAMPLES = 1_000


@dataclass(frozen=True, slots=True)
class Waves(RankedPolicy):
    """Admit in waves: when one begins, how many run and how fast prompts are read is rolled out.

    While prompts are read all that run wait for longer batches, so it may pay to read the prompts
    of many requests at once, when few are left that decode. A wave begins when a share of the
    requests that ran at the end of the last one has completed; it admits by rank, as the ranked
    policies do, until the next request is refused by the limit on running requests or by the KV
    plan. Between waves, whenever a request arrives or completes, the share, the limit and the
    prompt tokens of a batch are chosen anew: the queue is simulated to its end under each value in
    turn, for the next wave and for those after it, and the least total latency counts. Requests
    still to come are not reckoned with.

    Told lengths, the order is that of `LeastWork`, and one simulation a value suffices. Told
    nothing, the shortest prompt is first, planned lengths are learned (`LearnedLengths`), and the
    simulations draw lengths from the completed outputs longer than the tokens so far.

    Options are those of `ranked.RankedPolicy`, and:

    Parameters
    ----------
    samples : int
        With ``lengths=none``: draws of the lengths that each value is simulated with, from 1 to
        1,000.

    See Also
    --------
    LeastWork : The same order, with admission whenever a request fits.
    DecodeFirst : One wave after another, each when the last is complete.

    Examples
    --------
    Two seats. The second request completes after two tokens; the third is not read before the
    first completes, one batch later, since the two would share a batch anyway.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> gpu = Gpu(kv_capacity=99, running_requests=2)
    >>> instance = Instance(gpu=gpu, arrival=[0] * 3, prompt=[4] * 3, output=[2, 3, 3])
    >>> [batch.prefill for batch in simulate_continuous(instance, Waves()).batches]
    [((0, 4), (1, 4)), (), ((2, 4),), (), ()]

    References
    ----------
    The waves are those of the best schedules known of engine logs (docs/continuous.md); for
    separate batching, where a threshold on free seats is computed, arXiv 2606.00516. Simulating
    each action under a base policy: Bertsekas, Castañon, *Rollout algorithms for stochastic
    scheduling problems*, J. Heuristics 5, 1999.
    """

    samples: int = 1

    name: ClassVar[str] = "waves"
    summary: ClassVar[str] = "admits in waves whose begin and size are rolled out"
    source: ClassVar[str] = "rollout (Bertsekas, Castañon 1999) of admission in waves"

    def __post_init__(self) -> None:
        RankedPolicy.__post_init__(self)
        require_integer("samples", self.samples, low=1)
        if self.samples > MOST_SAMPLES:
            raise InputError(
                f"samples: expected an integer of at most {MOST_SAMPLES}, found {self.samples}"
            )

    def key(self, prompt: IntArray, planned: IntArray, law: Durations) -> IntArray:
        """Return prompt lengths where nothing is told, else work as `LeastWork` has it."""
        return prompt if self.lengths == "none" else LeastWork().key(prompt, planned, law)

    def session(self) -> WavesRun:  # type: ignore[override]  # a run of its own kind
        """Return the policy for one run: it keeps the past, and where in a wave it is."""
        return WavesRun(self)

    def run_compiled(self, instance: Instance, told: Told) -> ContinuousSchedule:
        """Run the whole instance as compiled code."""
        from ..compiled import run_waves_compiled

        ranks, planned = self.ranked(instance, told, batch_durations(instance))
        samples = self.samples if self.lengths == "none" else 0
        rule = self.rule(limits(instance))
        return run_waves_compiled(instance, self.name, rule, ranks, planned, samples)


@dataclass(slots=True)
class Wave:
    """Where a run is: whether a wave goes on, and how the next ones are to be.

    Attributes
    ----------
    admits : bool
        Whether a wave goes on.
    peak : int
        Requests that ran at the end of the last one.
    setting : ndarray of int64, shape (2, 3)
        As in `wave_rollouts.choose`.
    changed : bool
        Whether requests arrived, completed or were admitted since the setting was chosen.
    """

    admits: bool = True
    peak: int = 0
    setting: IntArray = field(default_factory=lambda: np.zeros((2, 3), np.int64))
    changed: bool = False


class WavesRun(Run[ContinuousObservation, ContinuousDecision]):
    """One run of `Waves`.

    Parameters
    ----------
    policy : Waves
        Its options.
    """

    model: ClassVar[str] = "continuous"

    def __init__(self, policy: Waves) -> None:
        super().__init__(policy)
        self._policy, self._history, self._wave = policy, History(), Wave()
        self._present: frozenset[int] = frozenset()

    def decide(
        self, observation: ContinuousObservation, rng: np.random.Generator
    ) -> ContinuousDecision:
        """Choose the next wave where none goes on; build the next batch."""
        from ..wave_rollouts import LIMIT, PROMPT_TOKENS, SHARE, grid_of

        gpu, wave = observation.limits, self._wave
        rule = self._policy.rule(gpu)
        grid = grid_of(rule.seats, rule.prompt_tokens, gpu.chunked)
        here = (*observation.running, *observation.waiting)
        past = self._history.look(observation.time, gpu.blocks * gpu.block, here)
        lengths = LearnedLengths(past) if self._policy.lengths == "none" else None

        def plan(view: ContinuousView) -> int:
            told = view.planned if lengths is None else lengths.expected(view.tokens)
            return min(told, gpu.blocks * gpu.block - view.prompt + 1)

        present = frozenset(view.index for view in here)
        wave.changed |= present != self._present
        self._present = present
        running = [(view, plan(view)) for view in observation.running]
        waiting = [(view, plan(view)) for view in observation.waiting]
        keys = self._policy.key(
            np.array([view.prompt for view, _ in waiting], np.int64),
            np.array([planned for _, planned in waiting], np.int64),
            observation.law,
        )
        queue = [waiting[k] for k in np.argsort(keys, kind="stable").tolist()]
        if wave.changed and queue and (lengths is None or lengths.outputs.size):
            self._choose(observation, [*running, *queue], lengths)
            wave.changed = False
        share, limit, prompt_tokens = (
            int(values[wave.setting[0, part]])
            for values, part in zip(grid, (SHARE, LIMIT, PROMPT_TOKENS), strict=True)
        )
        wave.admits = wave.admits or len(running) * 100 <= (100 - share) * wave.peak
        builder = BatchBuilder(
            gpu,
            rule._replace(
                seats=limit if wave.admits else len(running), prompt_tokens=prompt_tokens
            ),
            running,
            queue,
        )
        decision = builder.build()
        if wave.admits and builder.refused:
            wave.admits, wave.peak = False, builder.seats_taken
            wave.changed |= builder.seats_taken > len(running)
            wave.setting[0] = wave.setting[1]
        return decision

    def _choose(
        self,
        observation: ContinuousObservation,
        planned: list[tuple[ContinuousView, int]],
        lengths: LearnedLengths | None,
    ) -> None:
        """Choose the setting of the next waves; `planned` has those that run first."""
        from ..hindsight_kernels import Scene
        from ..wave_kernels import sampled_lengths
        from ..wave_rollouts import MOST_WAITING, choose, grid_of

        gpu, k = observation.limits, len(observation.running)
        rule = self._policy.rule(gpu)
        here = planned[: k + MOST_WAITING]
        columns = np.array(
            [
                (v.arrival, v.prompt, max(v.tokens + 1, plan), v.tokens, v.cached, v.unread)
                for v, plan in here
            ],
            np.int64,
        ).T.copy()
        kv = gpu.blocks * gpu.block
        numbers = [observation.time, kv, gpu.block, rule.seats, rule.tokens, int(gpu.chunked)]
        scene = Scene._make([*columns, np.arange(k), np.array(numbers, np.int64), observation.law])
        outputs = scene.output.reshape(1, -1)
        if lengths is not None:
            who = np.array([view.index for view, _ in here], np.int64)
            room = longest(scene.prompt, gpu)
            outputs = sampled_lengths(
                lengths.outputs, who, scene.tokens, room, self._policy.samples
            )
        grid = grid_of(rule.seats, rule.prompt_tokens, gpu.chunked)
        wave, beyond = self._wave, len(planned) - len(here)
        choose(scene, outputs, wave.admits, wave.peak, beyond, grid, wave.setting)
