"""``gramgan_cli.upscale`` and ``upscale_all``: upscaling files, with metadata, profile, alpha and bit depth kept."""

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
    """Upscale one picture file. The result is byte-identical to that of ``gramgan upscale``.

    Args:
        picture: path of the picture.
        output: path of the result, or a folder; by default ``photo_x4.png`` next to ``photo.png``.
        save_attention: with ``reference``, folder for pictures that show where in the reference textures come from.
        on_progress: called with the fraction done, 0 to 1. An exception that it raises stops the run and reaches the
            caller; no unfinished file is left.
        on_note: called with messages for the user.
        **arguments: ``UpscaleArguments``; defaults are the command's.

    Returns:
        The result with its path, size and warnings.

    Raises:
        ImageDamaged: the picture can't be decoded.
        TargetExists: the result exists and ``overwrite`` is not set.
        ModelNotFound: there is no such model.
        GramganError: any other failure.
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
    """Upscale many picture files, with decoding and encoding in threads.

    Args:
        pictures: one or several picture files, folders or globs.
        output: folder for the results; None puts each next to its picture.
        save_attention: with ``reference``, folder for pictures that show where in the reference textures come from.
        on_progress: called with the number of pictures done, including the fraction of the current one. An exception
            that it raises stops the run and reaches the caller.
        on_note: called with messages for the user.
        on_plan: called once, before the first picture, with the paths of all pictures in the order of their results.
        **arguments: ``UpscaleArguments``.

    Returns:
        Iterator of one result per picture, in order. A failed picture has its ``error`` set and does not stop the
        others. Close the iterator to stop; no unfinished file is left.

    Raises:
        GramganError: the run can't start, for example because two results would have the same name.
        UsageError: arguments contradict each other.
    """
    inputs = listed(pictures)
    if STANDARD in inputs:
        raise UsageError("Standard input is for the command line.", "Pass a path, or an array to load(...).")
    options = upscale_options(arguments)
    if save_attention and options.reference is None:
        raise UsageError("save_attention needs a reference.", "Pass reference.")
    work = FileRun(options, on_note)
    work.session.source.on_note = on_note
    plan = work.prepare(inputs, None if output is None else fspath(output), _folder(save_attention))
    on_plan([*(result.input for result in plan.failures()), *(job.source for job in plan.jobs)])
    return work.results(on_progress)


def _folder(path: AnyPath | None) -> Path | None:
    return None if path is None else Path(path)


class FileRun:
    """Upscales picture files in two steps, planning and running, so that commands can show the plan in between.

    Args:
        options: options of the run.
        on_note: called with messages for the user.

    Attributes:
        session: session of the loaded model.
        plan: the plan, after ``prepare``.

    Raises:
        GramganError: the model can't be loaded.
    """

    def __init__(self, options: UpscaleOptions, on_note: Callable[[str], None]) -> None:
        self.options = options
        self.session = open_session(options, on_note)
        self.plan = Plan()
        self._attention: dict[str, dict[str, Path]] = {}

    def prepare(self, inputs: Sequence[str], output: str | None, attention: Path | None = None) -> Plan:
        """Plan the jobs. Arguments and errors are those of ``engines.upscale.plan.plan_jobs``.

        Args:
            inputs: pictures, folders and globs; ``STANDARD`` is standard input.
            output: file or folder, ``STANDARD``, or None.
            attention: folder for the attention pictures of a model with a reference.
        """
        options = self.options
        self.plan = plan_jobs(inputs, output, options, self.session)
        if attention:
            from gramgan_cli.engines.upscale.attention import attention_paths

            stems = [Path(job.source).stem for job in self.plan.jobs]
            self._attention = attention_paths(attention, stems, options.overwrite, options.skip_existing)
        return self.plan

    def results(self, on_progress: Callable[[float], None]) -> Iterator[Result]:
        """Run the jobs; yield a result per picture, in order, after failures for unreadable folders."""
        results = upscale_files(self.plan.jobs, self.session, self.options, stopping(on_progress))
        return until_stopped(chain(self.plan.failures(), map(self._with_attention, results)))

    def _with_attention(self, result: Result) -> Result:
        """Write the attention pictures of a result, if requested; return the result."""
        if self._attention and not result.error and not result.skipped:
            from gramgan_cli.engines.upscale.attention import save_attention
            from gramgan_cli.engines.upscale.reference import ReferenceUpscaler

            photo, source = Path(result.input), self.session.source
            assert isinstance(source, ReferenceUpscaler)
            failed = save_attention(source, photo, self._attention[photo.stem])
            if failed:
                result.fail(GramganError(failed))
        return result
