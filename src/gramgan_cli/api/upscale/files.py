"""``gramgan_cli.upscale`` and ``upscale_all``: picture files; metadata, colours, transparency and depth are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from os import fspath
from pathlib import Path
from typing import Unpack

from gramgan_cli.api.arguments import AnyPath, listed
from gramgan_cli.api.callbacks import ignore, stopping, until_stopped
from gramgan_cli.api.upscale.options import UpscaleArguments, upscale_options
from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.engines.upscale.inputs import STANDARD
from gramgan_cli.engines.upscale.options import UpscaleOptions
from gramgan_cli.engines.upscale.pipeline import upscale_files
from gramgan_cli.engines.upscale.plan import Plan, plan_jobs
from gramgan_cli.engines.upscale.result import Result
from gramgan_cli.engines.upscale.session import open_session


def upscale(
    picture: AnyPath,
    output: AnyPath | None = None,
    *,
    save_attention: AnyPath | None = None,
    on_progress: Callable[[float], None] = ignore,
    on_note: Callable[[str], None] = ignore,
    **arguments: Unpack[UpscaleArguments],
) -> Result:
    """Enlarge one picture file, as ``gramgan upscale`` does: the files are equal byte by byte.

    Args:
        picture: path of the picture.
        output: path of the result, or a folder for it. None: ``photo_x4.png`` beside ``photo.png``.
        save_attention: with ``reference``, a folder for pictures of what came from where.
        on_progress: called with the share that is done, 0 to 1. An exception that it raises stops the work and reaches
            the caller; nothing unfinished stays.
        on_note: called with a sentence that the user should know.
        **arguments: ``UpscaleArguments``; every default is the command's.

    Returns:
        Where the result is, its size, and its warnings.

    Raises:
        ImageDamaged: the picture can't be decoded.
        TargetExists: the result exists; pass ``overwrite=True``.
        ModelNotFound: no model has that name.
        GramganError: whatever else went wrong, in one sentence.
    """
    path = Path(picture)
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", "Pass it to upscale_all.")
    results = list(
        upscale_all(path, output, save_attention=save_attention, on_progress=on_progress, on_note=on_note, **arguments)
    )
    result = results[0]
    result.raise_for_error()
    return result


def upscale_all(
    pictures: AnyPath | Sequence[AnyPath],
    output: AnyPath | None = None,
    *,
    save_attention: AnyPath | None = None,
    on_progress: Callable[[float], None] = ignore,
    on_note: Callable[[str], None] = ignore,
    on_plan: Callable[[list[str]], None] = ignore,
    **arguments: Unpack[UpscaleArguments],
) -> Iterator[Result]:
    """Enlarge many picture files; decoding and encoding run beside the network.

    Args:
        pictures: picture files, folders and globs, or one of them.
        output: a folder for the results; None puts each beside its picture.
        save_attention: with ``reference``, a folder for pictures of what came from where.
        on_progress: called with the number of pictures that are done, with fractions. An exception that it raises stops
            the work and reaches the caller.
        on_note: called with a sentence that the user should know.
        on_plan: called once, before the first picture, with the paths that there will be results of, in their order.
        **arguments: ``UpscaleArguments``.

    Returns:
        An iterator of a result for each picture, in order, as it is finished. A picture that fails has its
        ``error`` set and stops no other. Close the iterator to stop; nothing unfinished stays.

    Raises:
        GramganError: what is wrong before the first picture, such as two results of one name.
        UsageError: arguments that contradict each other.
    """
    inputs = listed(pictures)
    if STANDARD in inputs:
        raise UsageError("Standard input is for the command line.", "Pass a path, or an array to load(...).")
    options = upscale_options(arguments)
    if save_attention and options.reference is None:
        raise UsageError("save_attention shows what came from a reference.", "Pass reference.")
    work = FileRun(options, on_note)
    work.session.source.on_note = on_note
    plan = work.prepare(inputs, None if output is None else fspath(output), _folder(save_attention))
    on_plan([*(result.input for result in plan.failures()), *(job.source for job in plan.jobs)])
    return work.results(on_progress)


def _folder(path: AnyPath | None) -> Path | None:
    return None if path is None else Path(path)


class FileRun:
    """Upscaling picture files in two steps: what is to be done, and doing it. Commands show what lies between.

    Args:
        options: what the user asks for.
        on_note: called with a sentence that the user should know.

    Attributes:
        session: the loaded model.
        plan: what is to be done, once ``prepare`` was called.

    Raises:
        GramganError: the model can't be loaded.
    """

    def __init__(self, options: UpscaleOptions, on_note: Callable[[str], None]) -> None:
        self.options = options
        self.session = open_session(options, on_note)
        self.plan = Plan()
        self._attention: dict[str, dict[str, Path]] = {}

    def prepare(self, inputs: Sequence[str], output: str | None, attention: Path | None = None) -> Plan:
        """Decide where each result goes; see ``engines.upscale.plan.plan_jobs`` for the arguments and errors.

        Args:
            inputs: pictures, folders and globs; ``STANDARD`` is standard input.
            output: a file or folder, ``STANDARD``, or None.
            attention: a folder for the attention pictures of a model with a reference.
        """
        options = self.options
        self.plan = plan_jobs(inputs, output, options, self.session)
        if attention:
            from gramgan_cli.engines.upscale.attention import attention_paths

            stems = [Path(job.source).stem for job in self.plan.jobs]
            self._attention = attention_paths(attention, stems, options.overwrite, options.skip_existing)
        return self.plan

    def results(self, on_progress: Callable[[float], None]) -> Iterator[Result]:
        """Do it: a result for each picture, in order, those of unreadable folders first."""
        results = upscale_files(self.plan.jobs, self.session, self.options, stopping(on_progress))
        return until_stopped(chain(self.plan.failures(), map(self._with_attention, results)))

    def _with_attention(self, result: Result) -> Result:
        """The result, after its attention pictures were written where the user asks for them."""
        if self._attention and not result.error and not result.skipped:
            from gramgan_cli.engines.upscale.attention import save_attention
            from gramgan_cli.engines.upscale.reference import ReferenceUpscaler

            photo, source = Path(result.input), self.session.source
            assert isinstance(source, ReferenceUpscaler)
            failed = save_attention(source, photo, self._attention[photo.stem])
            if failed:
                result.fail(GramganError(failed))
        return result
