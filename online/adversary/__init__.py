"""Worst cases: instances that maximise a policy's cost over the proved optimum."""
