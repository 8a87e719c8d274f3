"""What a regime tells of its MILPs, so that a caller can add constraints to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from ..models.instance import Instance, IntArray
from ..models.regime import ScheduleType

if TYPE_CHECKING:
    import pyomo.environ as pyo


@dataclass(frozen=True, slots=True, kw_only=True)
class Extendable(Generic[ScheduleType]):
    """The MILPs of a regime, by completions: all regimes alike.

    Attributes
    ----------
    default_form : callable
        ``default_form(instance)``: the form in which each request has variables of its own.
    alone : callable
        ``alone(instance)``: least time of each request from arrival to completion, shape (n,).
    latest : callable
        ``latest(instance, objective)``: latest completions in some optimal schedule, shape (n,).
    build : callable
        ``build(instance, objective, formulation, latest)``: a model with every schedule that
        completes by then, and not only those of which one is optimal.
    size : callable
        ``size(instance, formulation, latest)``: how large it gets.
    largest : int
        Beyond this it is not built.
    read : callable
        ``read(instance, model, value, as_placed=…)``: the schedule of a solution; as the model has
        it, nothing moved, or with its batches as early as their order allows.
    set_values : callable
        ``set_values(instance, model, schedule)`` gives the variables the values of a schedule;
        False if the model does not offer it.
    """

    default_form: Callable[[Instance], str]
    alone: Callable[[Instance], IntArray]
    latest: Callable[[Instance, str], IntArray]
    build: Callable[[Instance, str, str, IntArray], pyo.ConcreteModel]
    size: Callable[[Instance, str, IntArray], int]
    largest: int
    read: Callable[..., ScheduleType]
    set_values: Callable[[Instance, pyo.ConcreteModel, ScheduleType], bool]
