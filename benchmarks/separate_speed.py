"""How fast policies of separate batching are simulated: seconds, batches, token jobs.

    python benchmarks/separate_speed.py [--requests 19366,100000] [--policies a,b]

Instances: synthetic ones like the Azure conversation trace at its rate, M = 131,072, on a GPU with
the affine law of Llama-3.1-8B on an H100 (5.64 + 0.0127·p + 0.0135·d + 4.5e-5·kv ms), C_P = 16,384
and B_D = 256. Seconds are processor time of `simulate_separate` alone, after a small instance that
compiles (or loads) the machine code.
"""

from __future__ import annotations

import argparse
import sys
import time

from batchprophet.models import AffineTime, Gpu, Instance
from batchprophet.models.families import make_instance
from batchprophet.online.separate import REGISTRY, simulate_separate

H100 = AffineTime(c0=5.64, c1=0.0127, c2=0.0135, c3=4.5e-5)
M, MICROSECOND_MS, RATE = 131_072, 0.001, 5.5301


def main(arguments: argparse.Namespace) -> None:
    print(f"{'policy':<20}{'requests':>10}{'seconds':>9}{'batches':>11}{'token jobs':>12}")
    for n in map(int, arguments.requests.split(",")):
        instance = synthetic(n)
        for policy in arguments.policies.split(","):
            simulate_separate(instance.take([0, 1]), policy)
            begin = time.process_time()
            schedule = simulate_separate(instance, policy)
            seconds = time.process_time() - begin
            jobs = int(instance.output.sum()) - n
            print(f"{policy:<20}{n:>10,}{seconds:>9.2f}{len(schedule.batches):>11,}{jobs:>12,}")


def synthetic(n: int) -> Instance:
    settings = {"n": n, "kv_capacity": M, "round_ms": MICROSECOND_MS, "rate": RATE}
    instance = make_instance("azure-conversation", seed=0, settings=settings)
    gpu = Gpu(kv_capacity=M, prompt_batch_tokens=16_384, token_batch_requests=256, batch_time=H100)
    return instance.replace(gpu=gpu)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time the simulation of separate batching.")
    parser.add_argument("--requests", default="19366,100000")
    parser.add_argument("--policies", default=",".join(REGISTRY.by_default))
    sys.exit(main(parser.parse_args()))
