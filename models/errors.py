"""The package's exceptions: what can go wrong, as types."""

from __future__ import annotations


class BatchprophetError(Exception):
    """Base of every exception that batchprophet raises on purpose."""


class InputError(BatchprophetError):
    """What was given cannot be used; the message says what must hold, what was found, and where.

    The command line prints the message on one line and exits with code 2.
    """


class InfeasibleError(BatchprophetError):
    """No schedule satisfies the limits; the message names the request or limit in conflict."""


class PolicyError(BatchprophetError):
    """A policy decided something that the rules of the simulation do not allow."""


class DoesNotFinish(BatchprophetError):  # noqa: N818 - the name is the verdict that tables show
    """A policy would go on for ever on this instance (it cycles or never starts what waits)."""
