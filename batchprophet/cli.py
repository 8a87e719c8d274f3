"""The entry point of the command line: every failure is one line on stderr and an exit code.

0 done; 1 the answer is no (a schedule violates a rule, a policy does not finish); 2 bad input or
usage; 130 interrupted, or terminated.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from .commands import adversary as adversary_command
from .commands import audit as audit_command
from .commands import basic as commands
from .commands import compare as compare_command
from .commands import console
from .commands import library as library_command
from .commands import play as play_command
from .commands import regret as regret_command
from .commands import study as study_command
from .commands.termination import terminate_as_interrupt
from .models.errors import BatchprophetError, DoesNotFinish, InfeasibleError

#: Base of typer's usage errors (unknown option, wrong type, missing argument), in every version.
_UsageError: Any = typer.BadParameter.mro()[1]

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _batchprophet(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Hindsight-optimal LLM-inference scheduling on one GPU, and how far each policy is from it."""
    if version:
        from . import __version__

        print(__version__)
    elif context.invoked_subcommand is None:
        print(context.get_help())


for _command in (
    compare_command.demo,
    commands.solve,
    commands.simulate,
    compare_command.compare,
    commands.check,
    commands.make,
    commands.convert,
    commands.policies,
    regret_command.regret,
    study_command.study,
    adversary_command.adversary,
    audit_command.audit,
    audit_command.calibrate,
    play_command.play,
):
    app.command()(_command)

app.add_typer(library_command.library, name="library")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``batchprophet``; by default those of the process.

    Examples
    --------
    >>> run(["--version"])  # doctest: +ELLIPSIS
    0...
    0
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with terminate_as_interrupt():
            code = app(args=words, prog_name="batchprophet", standalone_mode=False)
    except _UsageError as error:
        return _fail(error.format_message(), 2)
    except (DoesNotFinish, InfeasibleError) as error:
        return _fail(str(error), 1)
    except BatchprophetError as error:
        return _fail(str(error), 2)
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", 130)
    # typer returns the code of typer.Exit, also for an interrupt that it saw first.
    return _fail("interrupted", 130) if code == 130 else int(code or 0)


def main() -> None:
    """Run the command line of this process."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # characters that it lacks are escaped
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run())


def _fail(message: str, code: int) -> int:
    console.note(f"batchprophet: {message}")
    return code
