"""Study files: TOML, strict, every refusal in one line that says where."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from ...models.disk import read_input
from ...models.errors import InputError
from ...models.objectives import require_objective
from ...models.shown import suggestion
from ..regimes import regime
from .cell import Limit
from .predictions import parse_predictions
from .source import Kind, Source, sources
from .study import Study

MOST_SEEDS = 1_000_000

_STUDY_KEYS = (
    "name",
    "description",
    "model",
    "objective",
    "seeds",
    "policies",
    "predictions",
    "instances",
    "limits",
)
_ORIGINS = ("family", "trace", "file")


def read_study(path: str | Path) -> Study:
    """Read a study file (docs/studies.md).

    Parameters
    ----------
    path : path-like
        A TOML file; paths in it are relative to its folder.

    Raises
    ------
    InputError
        If it cannot be read, a key is unknown or missing, or a value is invalid.

    Examples
    --------
    >>> import tempfile
    >>> text = '''
    ... name = "small"
    ... seeds = [1, 2]
    ... policies = ["mc-sf"]
    ... instances = [{family = "arrival-model-1", settings = {n = [6, 8]}}]
    ... limits = [{work = 1000}]
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "small.toml"
    ...     _ = file.write_text(text)
    ...     len(read_study(file).cells())
    8
    """
    try:
        record = tomllib.loads(read_input(path).decode("utf-8"))
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, thousands of digits
        raise InputError(f"{path}: expected TOML, found: {error}") from error
    try:
        return _study(record, Path(path).parent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _study(record: dict[str, Any], folder: Path) -> Study:
    _require_keys("", record, _STUDY_KEYS, needed=("name", "seeds", "instances"))
    model = _text("model", record.get("model", "mixed"))
    rules = regime(model)
    objective = _text("objective", record.get("objective", "latency"))
    require_objective(objective)
    policies = _texts("policies", record.get("policies", list(rules.registry.by_default)))
    told = _texts("predictions", record.get("predictions", ["default"]))
    study = Study(
        name=_text("name", record["name"]),
        description=_text("description", record.get("description", ""), empty=True),
        model=model,
        objective=objective,
        seeds=_seeds(record["seeds"]),
        policies=tuple(policies),
        predictions=tuple(parse_predictions(text) for text in told),
        sources=_sources(record["instances"], folder),
        limits=_limits(record.get("limits", [])),
    )
    study.policy_runs()
    return study


def _sources(tables: Any, folder: Path) -> tuple[Source, ...]:
    found: list[Source] = []
    for position, table in enumerate(_tables("instances", tables)):
        where = f"instances[{position}]"
        _require_keys(f"{where}.", table, (*_ORIGINS, "settings", "name"))
        kinds = [kind for kind in _ORIGINS if kind in table]
        if len(kinds) != 1:
            raise InputError(
                f"{where}: expected one of {', '.join(_ORIGINS)}; found "
                f"{' and '.join(kinds) or 'none'}"
            )
        kind = cast(Kind, kinds[0])
        origin = _text(f"{where}.{kind}", table[kind])
        settings = _table(f"{where}.settings", table.get("settings", {}))
        _require_values(f"{where}.settings", settings)
        label = None if "name" not in table else _text(f"{where}.name", table["name"])
        if kind != "family":
            origin = str(folder / origin)
        try:
            found += sources(kind, origin, settings, label)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    _require_once("instances: the name", [source.label for source in found])
    return tuple(found)


def _limits(tables: Any) -> tuple[Limit, ...]:
    found = []
    for position, table in enumerate(_tables("limits", tables, empty=True)):
        where = f"limits[{position}]"
        _require_keys(f"{where}.", table, ("name", "work", "seconds"))
        if ("work" in table) == ("seconds" in table):
            raise InputError(f"{where}: expected either work or seconds")
        work, seconds = table.get("work"), table.get("seconds")
        if work is not None and not _is_integer(work, 0, 2**31 - 1):
            raise InputError(
                f"{where}.work: expected an integer from 0 to 2^31 − 1, found {work!r}"
            )
        number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if seconds is not None and not (number and 0 < seconds <= 1e7):
            raise InputError(f"{where}.seconds: expected a number in (0, 10^7], found {seconds!r}")
        spent = f"work={work}" if seconds is None else f"seconds={seconds:g}"
        label = _text(f"{where}.name", table.get("name", spent))
        found.append(
            Limit(label=label, work=work, seconds=None if seconds is None else float(seconds))
        )
    _require_once("limits: the name", [limit.label for limit in found])
    return tuple(found)


def _seeds(value: Any) -> tuple[int, ...]:
    if isinstance(value, dict):
        _require_keys("seeds.", value, ("first", "count"), needed=("first", "count"))
        first, count = value["first"], value["count"]
        if not _is_integer(first, 0, 2**62):
            raise InputError(f"seeds.first: expected an integer of at least 0, found {first!r}")
        if not _is_integer(count, 1, MOST_SEEDS):
            raise InputError(f"seeds.count: expected an integer from 1 to 10^6, found {count!r}")
        return tuple(range(first, first + count))
    if not isinstance(value, list) or not value:
        raise InputError(
            f"seeds: expected a list of integers or {{first = …, count = …}}, found {value!r}"
        )
    for seed in value:
        if not _is_integer(seed, 0, 2**62):
            raise InputError(f"seeds: expected integers of at least 0, found {seed!r}")
    _require_once("seeds: the seed", value)
    return tuple(value)


def _is_integer(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _require_keys(
    where: str, record: Mapping[str, Any], known: tuple[str, ...], needed: tuple[str, ...] = ()
) -> None:
    for key in record:
        if key not in known:
            meant = suggestion(key, known)
            raise InputError(f"{where}{key}: unknown key; known are {', '.join(known)}{meant}")
    for key in needed:
        if key not in record:
            raise InputError(f"{where}{key}: is needed, found none")


def _tables(where: str, value: Any, *, empty: bool = False) -> list[dict[str, Any]]:
    if not isinstance(value, list) or (not value and not empty):
        raise InputError(f"{where}: expected tables [[{where}]], found {value!r}")
    return [_table(f"{where}[{position}]", table) for position, table in enumerate(value)]


def _table(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected a table, found {value!r}")
    return value


def _texts(where: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise InputError(f"{where}: expected a list of strings, found {value!r}")
    texts = [_text(f"{where}[{position}]", text) for position, text in enumerate(value)]
    _require_once(where, texts)
    return texts


def _text(where: str, value: Any, *, empty: bool = False) -> str:
    if not isinstance(value, str) or not (empty or value.strip()):
        raise InputError(f"{where}: expected a string, found {value!r}")
    return value.strip()


def _require_values(where: str, settings: Mapping[str, Any]) -> None:
    for key, value in settings.items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(each, (str, int, float)) for each in values):
            raise InputError(
                f"{where}.{key}: expected a value or a list of values, found {value!r}"
            )


def _require_once(where: str, values: Iterable[Any]) -> None:
    for value, count in Counter(values).items():
        if count > 1:
            raise InputError(f"{where}: {value!r} stands {count} times")
