"""The policies' kernels are compiled beside the solver, by a run that leaves them in the cache."""

import os
import subprocess
import sys

import pytest

from batchprophet.online.regimes import REGIMES
from batchprophet.online.warm_up import policies_compiled_beside


def test_nothing_is_started_where_no_policy_is_run_by_default():
    with policies_compiled_beside(None) as beside:
        assert beside._process is None


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(REGIMES))
def test_the_kernels_that_stand_for_all_are_compiled(tmp_path, model):
    code = (
        "from batchprophet.online.regimes import regime\n"
        "from batchprophet.online.warm_up import run_policies\n"
        "from batchprophet.solvers.compiled import are_compiled\n"
        f"kernels = regime({model!r}).kernels\n"
        "assert kernels and not are_compiled(kernels)\n"
        f"run_policies({model!r})\n"
        "assert are_compiled(kernels)\n"
    )
    cache = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=cache, check=True)
