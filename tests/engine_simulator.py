"""A serving engine of its own for tests: the rule of vLLM v1 in plain Python, with noise.

It shares no code with the package's simulators. Times are whole microseconds, memory whole blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from batchprophet.models.engine_logs.facts import EngineFacts
from batchprophet.models.engine_logs.log import EngineLog


@dataclass
class Job:
    at: int
    prompt: int
    output: int
    cached: int = 0
    tokens: int = 0
    ready: bool = False
    first: int = 0
    last: int = 0


@dataclass
class EngineUnderTest:
    """Law (c0, c1, c2, c3 in ms), limits, and how it errs.

    jitter: relative standard deviation of a batch's time. rank: key of the waiting requests, first
    come first served if left out. prompts_first: batches of whole prompts before tokens, as vLLM
    v0. whole_fits: admit a request only if all that it has to read fits, as vLLM since 0.19.
    """

    law: tuple[float, float, float, float]
    kv: int = 10**9
    seats: int = 256
    budget: int = 2048
    block: int = 16
    jitter: float = 0.0
    rank: object = None
    prompts_first: bool = False
    whole_fits: bool = True
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    preemptions: int = 0
    batches: int = 0

    def blocks(self, tokens: int) -> int:
        return -(-tokens // self.block)

    def serve(self, jobs: list[Job]) -> None:
        queue = sorted(jobs, key=lambda j: j.at)
        waiting: list[Job] = []
        running: list[Job] = []
        now, arrived, done = 0, 0, 0
        while done < len(jobs):
            while arrived < len(queue) and queue[arrived].at <= now:
                waiting.append(queue[arrived])
                arrived += 1
            if not waiting and not running:
                now = queue[arrived].at
                continue
            if self.rank is not None:
                waiting.sort(key=self.rank)
            batch = self.build(waiting, running)
            now += self.length(batch)
            self.batches += 1
            for job, tokens in batch:
                job.cached += tokens
                if job.ready or job.cached == job.prompt + job.tokens:
                    job.ready = True
                    job.tokens += 1
                    if job.tokens == 1:
                        job.first = now
                    if job.tokens == job.output:
                        job.last = now
                        running.remove(job)
                        done += 1

    def build(self, waiting, running):
        """Tokens of each request in the next batch."""
        batch, left, dropped = [], self.budget, False
        free = self.kv // self.block - sum(self.blocks(job.cached) for job in running)
        admitting = len(running) < self.seats and bool(waiting)
        if self.prompts_first and admitting and self.blocks(waiting[0].prompt) <= free:
            while waiting and len(running) < self.seats:
                job = waiting[0]
                needed = self.blocks(job.prompt + job.tokens)
                if needed > free or job.prompt + job.tokens > left:
                    break
                free -= needed
                left -= job.prompt + job.tokens
                batch.append((job, job.prompt + job.tokens))
                running.append(waiting.pop(0))
            if batch:
                return batch
        place = 0
        while place < len(running) and left > 0:
            job = running[place]
            tokens = 1 if job.ready else min(left, job.prompt + job.tokens - job.cached)
            needed = self.blocks(job.cached + tokens) - self.blocks(job.cached)
            while needed > free and len(running) > place:
                last = running.pop()
                free += self.blocks(last.cached)
                last.cached, last.ready = 0, False
                waiting.insert(0, last)
                dropped = True
                self.preemptions += 1
            if len(running) <= place:
                break
            free -= needed
            left -= tokens
            batch.append((job, tokens))
            place += 1
        while waiting and len(running) < self.seats and left > 0 and not dropped:
            job = waiting[0]
            tokens = min(left, job.prompt + job.tokens)
            if self.blocks(job.prompt + job.tokens if self.whole_fits else tokens) > free:
                break
            free -= self.blocks(tokens)
            left -= tokens
            batch.append((job, tokens))
            running.append(waiting.pop(0))
        return batch

    def length(self, batch) -> int:
        """Rounded up, by coefficients in whole picoseconds."""
        c0, c1, c2, c3 = (round(c * 10**9) for c in self.law)
        decodes = [job for job, _ in batch if job.ready]
        read = sum(tokens for _, tokens in batch) - len(decodes)
        kv = sum(job.prompt + job.tokens for job in decodes)
        usual = c0 + c1 * read + c2 * len(decodes) + c3 * kv
        if self.jitter == 0:
            return -(-usual // 10**6)
        noise = max(0.2, 1 + self.jitter * self.rng.standard_normal())
        return round(usual * noise / 10**6)


def requests(n: int, rate: float, rng: np.random.Generator, scale: float = 1.0) -> list[Job]:
    """Poisson arrivals (per second), lognormal prompts and outputs."""
    at = np.cumsum(rng.exponential(10**6 / rate, n)).astype(int)
    prompt = np.clip(scale * rng.lognormal(5.8, 0.9, n), 4, 4000).astype(int)
    output = np.clip(scale * rng.lognormal(4.6, 0.7, n), 2, 1500).astype(int)
    return [
        Job(a, s, o) for a, s, o in zip(at.tolist(), prompt.tolist(), output.tolist(), strict=True)
    ]


def log_of(jobs: list[Job], *, name: str = "synthetic", **facts) -> EngineLog:
    """What the engine logged, in order of arrival."""
    jobs = sorted(jobs, key=lambda j: j.at)
    micro = {
        key: np.array([getattr(job, source) for job in jobs], dtype=np.int64)
        for key, source in (("arrival", "at"), ("first_token", "first"), ("last_token", "last"))
    }
    begin = int(micro["arrival"][0])
    return EngineLog(
        name=name,
        format="synthetic",
        **{key: column - begin for key, column in micro.items()},
        prompt=np.array([job.prompt for job in jobs]),
        output=np.array([job.output for job in jobs]),
        facts=EngineFacts(**facts),
    )
