"""The command line application; all errors become messages and exit codes here."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gramgan_cli import __version__
from gramgan_cli.cli import batch, doctor, ui
from gramgan_cli.cli.data import build_db, data, mask
from gramgan_cli.cli.errors import explain, plain, running_command_has
from gramgan_cli.cli.measure import bench, compare, plot
from gramgan_cli.cli.models import models
from gramgan_cli.cli.output import documents, fail, print_json
from gramgan_cli.cli.train import runs, train
from gramgan_cli.cli.upscale import upscale
from gramgan_cli.core.errors import GramganError


class _Group(TyperGroup):
    """Command group that also prints the parser's errors as JSON with ``--json``."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with _parser_errors_explained():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _parser_errors_explained():
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        found = super().resolve_command(ctx, args)
        _, command, rest = found
        while rest and rest[0] in getattr(command, "commands", {}):
            command, rest = command.commands[rest[0]], rest[1:]  # type: ignore[union-attr]
        if command is not None:
            running_command_has(flag for one in command.params for flag in (*one.opts, *one.secondary_opts))
        return found


@contextmanager
def _parser_errors_explained() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the parser's exceptions, whose classes differ between typer's versions
        format_message = getattr(error, "format_message", None)
        if format_message is not None and type(error).__name__ != "NoArgsIsHelpError":
            error.message = plain(error.message)  # type: ignore[attr-defined]
            _print_error(format_message())
        raise


def _print_error(message: str) -> None:
    """Print an error as the JSON document of ``--json``, unless one has been printed."""
    if "--json" in sys.argv and not documents.printed:
        print_json({"error": message})


app = typer.Typer(
    name="gramgan",
    cls=_Group,
    help="Make photographs four times larger, with believable texture.\n\n"
    "[bold]gramgan upscale photo.jpg[/bold]\n\n"
    "[bold]gramgan upscale --help[/bold]\n\n"
    "[bold]gramgan doctor[/bold]",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("upscale", no_args_is_help=True)(upscale.upscale)
app.command("ui")(ui.ui)
app.command("build-db", no_args_is_help=True)(build_db.build_db)
app.command("mask", no_args_is_help=True)(mask.mask)
app.command("train")(train.train)
app.add_typer(runs.runs, name="runs")
app.add_typer(models.models, name="models")
app.command("doctor")(doctor.doctor)
app.command("bench")(bench.bench)
app.command("compare")(compare.compare)
app.command("plot")(plot.plot)
app.add_typer(data.data, name="data")
app.add_typer(batch.batch, name="batch")


def _let_help_flow(group: typer.Typer) -> None:
    """Join the lines of help paragraphs to fit any terminal width; typer would keep the docstrings' line breaks."""
    for command in group.registered_commands:
        text = command.help or inspect.getdoc(command.callback) or ""
        command.help = "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            _let_help_flow(inner.typer_instance)


_let_help_flow(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gramgan {__version__}")
        raise typer.Exit


def _use_plugins(files: list[Path] | None) -> None:
    if files:
        from gramgan_cli.core.plugins import add_plugin_file

        for file in files:
            add_plugin_file(file)


@app.callback()
def _root(
    plugin: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.py",
            callback=_use_plugins,
            help="Python file with your own networks, losses or metrics. Must precede the command. Repeatable.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version, plugin


INTERRUPTED = 130
"""Exit code of Ctrl-C."""


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Handle SIGTERM, sent by batch systems and at shutdown, like Ctrl-C, so that unfinished files are removed."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal would interrupt the cleanup
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main() -> None:
    """Run the command line. With ``GRAMGAN_DEBUG=1``, tracebacks are shown."""
    documents.printed = 0
    try:
        with _terminated_like_interrupted():
            app()
    except KeyboardInterrupt:  # outside of the parser's own handling
        sys.exit(INTERRUPTED)
    except Exception as error:  # the one place that catches everything, so that users get a message
        if os.environ.get("GRAMGAN_DEBUG"):
            raise
        _print_error(sentence(error))
        fail(sentence(error))
        sys.exit(error.exit_code if isinstance(error, GramganError) else GramganError.exit_code)


def sentence(error: Exception) -> str:
    """Message for an exception of any type."""
    if isinstance(error, GramganError):
        return explain(error)
    if isinstance(error, OSError):  # system errors that no other code has explained
        name = f"{error.filename}: " if error.filename else ""
        return (
            f"{name}{error.strerror or error}. Check that it exists and that you have permission to read and write it."
        )
    message = " ".join(str(error).split())[:200]
    if isinstance(error, RuntimeError) and message.startswith("Symlink loop"):  # pathlib, until Python 3.12
        return f"{message}. The symbolic links form a loop: name the file or folder itself."
    return (
        f"gramgan failed unexpectedly ({type(error).__name__}{': ' if message else ''}{message}). "
        "Please report this, with the output of the same command with GRAMGAN_DEBUG=1 set."
    )
