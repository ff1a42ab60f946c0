"""HTTP routes of the web interface."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gramgan_cli import __version__
from gramgan_cli.core.errors import GramganError, in_plain_words
from gramgan_cli.core.images.capabilities import READ_SUFFIXES
from gramgan_cli.core.images.output_format import STANDARD_QUALITY, FormatChoice
from gramgan_cli.core.metrics.damage import advice, automatic_denoise
from gramgan_cli.ui.enlarge import PREVIEW_SIDE, Enlarger, Knobs, usual_knobs
from gramgan_cli.ui.folders import absolute, listing
from gramgan_cli.ui.photos import LARGEST_UPLOAD, Library, PhotoFacts, as_overview, as_png
from gramgan_cli.ui.runs import OPTIONS, Run, Runs

if TYPE_CHECKING:
    from gramgan_cli.api.upscale.options import UpscaleArguments

PAGE = Path(__file__).parent / "page"

Handler = Callable[[Request], Awaitable[Response]]


def create_app(folder: Path) -> tuple[Starlette, Callable[[], None]]:
    """Create the application, and a function to call before the process ends, which stops all work.

    Args:
        folder: folder for uploads and results for download; the caller deletes it at the end.
    """
    pages = _Pages(folder)
    routes = [
        Route("/", pages.page),
        Mount("/page", StaticFiles(directory=PAGE)),
        Route("/api/options", _spoken(pages.options)),
        Route("/api/state", _spoken(pages.state)),
        Route("/api/folder", _spoken(pages.folder)),
        Route("/api/photos", _spoken(pages.upload), methods=["POST"]),
        Route("/api/open", _spoken(pages.open), methods=["POST"]),
        Route("/api/photos/{key}", _spoken(pages.close), methods=["DELETE"]),
        Route("/api/photos/{key}/overview", _spoken(pages.overview)),
        Route("/api/photos/{key}/crop", _spoken(pages.crop)),
        Route("/api/photos/{key}/preview", _spoken(pages.preview)),
        Route("/api/runs", _spoken(pages.start), methods=["POST"]),
        Route("/api/runs/{key}", _spoken(pages.cancel), methods=["DELETE"]),
        Route("/api/runs/{key}/{index:int}", _spoken(pages.result)),
    ]
    return Starlette(routes=routes), pages.end


def _spoken(handler: Handler) -> Handler:
    """Wrap a handler so that known errors become a message for the user, with status 400."""

    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except GramganError as error:
            return _refusal(in_plain_words(str(error), OPTIONS))
        except OSError as error:
            return _refusal(f"{error.filename or 'The disk'}: {error.strerror or error}.")
        except MemoryError:
            return _refusal("There is not enough memory for this photo.")

    return answer


def _refusal(sentence: str) -> Response:
    return JSONResponse({"error": sentence}, 400)


class _Pages:
    def __init__(self, folder: Path) -> None:
        self._enlarger = Enlarger()
        self._library = Library(folder / "photos")
        self.runs = Runs(self._enlarger, folder / "results")
        self._newest: dict[str, int] = {}
        self._preview_lock = threading.Lock()
        self._enlarger.warm_up()

    def end(self) -> None:
        """Cancel all runs and wait for the threads to end."""
        self.runs.close()
        self._enlarger.close()

    async def page(self, _request: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def options(self, _request: Request) -> Response:
        usual = usual_knobs()
        return JSONResponse(
            {
                "version": __version__,
                "denoise": usual.denoise,
                "texture": usual.texture,
                "formats": [name for name in get_args(FormatChoice) if name != "same"],
                "quality": STANDARD_QUALITY,
                "side": PREVIEW_SIDE,
                "suffixes": sorted(READ_SUFFIXES),
            }
        )

    async def state(self, _request: Request) -> Response:
        photos = [_facts(photo) for photo in self._library.all()]
        return JSONResponse({"photos": photos, "runs": [run.facts() for run in self.runs.all()]})

    async def folder(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(listing, request.query_params.get("path", "")))

    async def upload(self, request: Request) -> Response:
        """Store one photo from the request's body. A photo that can't be read is refused and deleted."""
        name = request.query_params.get("name", "photo")
        key, path = self._library.upload_path(name)
        try:
            with path.open("wb") as file:
                size = 0
                async for part in request.stream():
                    size += len(part)
                    if size > LARGEST_UPLOAD:
                        raise GramganError(
                            f"{name} has more than {LARGEST_UPLOAD // 2**30} GB.", "Open it from its folder instead."
                        )
                    file.write(part)
            return JSONResponse(_facts(await run_in_threadpool(self._library.add, path, key)))
        except BaseException:
            self._library.discard(key)
            raise

    async def open(self, request: Request) -> Response:
        """Open a photo on this computer."""
        path = absolute(str((await request.json())["path"]))
        return JSONResponse(_facts(await run_in_threadpool(self._library.add, path)))

    async def close(self, request: Request) -> Response:
        self._library.close(request.path_params["key"])
        return JSONResponse({})

    async def overview(self, request: Request) -> Response:
        def made() -> bytes:
            return as_overview(*self._library.pixels(request.path_params["key"]))

        return Response(await run_in_threadpool(made), media_type="image/jpeg")

    async def crop(self, request: Request) -> Response:
        """The previewed square before upscaling, as PNG."""

        def made() -> bytes:
            image, icc = self._library.pixels(request.path_params["key"])
            x, y = _corner(request, image.shape[1], image.shape[0])
            return as_png(image[y : y + PREVIEW_SIDE, x : x + PREVIEW_SIDE], icc)

        return Response(await run_in_threadpool(made), media_type="image/png")

    async def preview(self, request: Request) -> Response:
        """The previewed square, upscaled. Only a tab's newest request is answered; older ones get status 409."""
        tab, number = request.query_params.get("tab", ""), int(request.query_params.get("number", 0))
        self._newest[tab] = max(number, self._newest.get(tab, 0))

        def made() -> tuple[bytes, float] | None:
            with self._preview_lock:
                if number < self._newest[tab]:
                    return None
                start = time.perf_counter()
                image, icc = self._library.pixels(request.path_params["key"])
                x, y = _corner(request, image.shape[1], image.shape[0])
                png = as_png(self._enlarger.preview(image, x, y, PREVIEW_SIDE, _knobs(request.query_params)), icc)
                return png, time.perf_counter() - start

        result = await run_in_threadpool(made)
        if result is None:
            return Response(status_code=409)
        return Response(result[0], media_type="image/png", headers={"X-Seconds": f"{result[1]:.2f}"})

    async def start(self, request: Request) -> Response:
        """Start runs over open photos or a folder. Uploads' results are downloaded; others go next to their photos."""
        wanted = await request.json()
        arguments = _arguments(wanted)
        output = absolute(wanted["output"]) if wanted.get("output") else None
        runs: list[Run] = []
        if folder := wanted.get("folder"):
            runs.append(self.runs.start(Path(folder).name, [str(absolute(folder))], output, arguments))
        photos = [self._library.get(key) for key in wanted.get("photos", [])]
        for photo in photos:  # one run per upload, since uploads of the same name would collide
            if photo.uploaded:
                runs.append(self.runs.start_download(photo.name, photo.path, arguments))
        if named := [str(photo.path) for photo in photos if not photo.uploaded]:
            title = Path(named[0]).name if len(named) == 1 else f"{len(named)} photos"
            runs.append(self.runs.start(title, named, output, arguments))
        return JSONResponse([run.facts() for run in runs])

    async def cancel(self, request: Request) -> Response:
        self.runs.cancel(request.path_params["key"])
        return JSONResponse({})

    async def result(self, request: Request) -> Response:
        """A finished file, as a download or, with ``?show``, to be displayed."""
        items = self.runs.get(request.path_params["key"]).items
        index = request.path_params["index"]
        output = items[index].output if index < len(items) else None
        if output is None or not Path(output).is_file():
            raise GramganError("This result no longer exists.", "Run the photo again.")
        shown = "inline" if "show" in request.query_params else "attachment"
        return FileResponse(output, filename=Path(output).name, content_disposition_type=shown)


def _facts(photo: PhotoFacts) -> dict[str, Any]:
    return {
        "key": photo.key,
        "name": photo.name,
        "width": photo.width,
        "height": photo.height,
        "format": photo.format,
        "frames": photo.frames,
        "uploaded": photo.uploaded,
        "folder": None if photo.uploaded else str(photo.path.parent),
        "warnings": photo.warnings,
        "advice": {"low": advice(photo.damage, 0.0), "high": advice(photo.damage, 1.0)},
        "automatic": automatic_denoise(photo.damage),
    }


def _corner(request: Request, width: int, height: int) -> tuple[int, int]:
    """(x, y) of the square's top left corner, moved so that the square lies inside the photo."""
    x, y = (int(float(request.query_params.get(name, 0))) for name in ("x", "y"))
    return max(0, min(x, width - PREVIEW_SIDE)), max(0, min(y, height - PREVIEW_SIDE))


def _knobs(values: Any) -> Knobs:
    denoise, texture = float(values["denoise"]), float(values["texture"])
    if not (0 <= denoise <= 1 and 0 <= texture <= 1):
        raise GramganError("A setting is not between 0 and 1.", "Reload the page.")
    return Knobs(denoise, texture)


def _arguments(wanted: dict[str, Any]) -> UpscaleArguments:
    """Arguments of ``upscale_all``. Existing results are skipped unless the user asks to replace them."""
    form = wanted.get("format") or "default"
    quality = wanted.get("quality")
    if form not in get_args(FormatChoice) or not (quality is None or 1 <= int(quality) <= 100):
        raise GramganError("The format or the quality is not valid.", "Reload the page.")
    automatic = wanted["denoise"] == "auto"
    knobs = _knobs({**wanted, "denoise": 1} if automatic else wanted)
    arguments: UpscaleArguments = {
        "denoise": "auto" if automatic else knobs.denoise,
        "style": knobs.texture,
        "format": cast(FormatChoice, form),
        "overwrite": bool(wanted.get("overwrite")),
        "skip_existing": not wanted.get("overwrite"),
        "recursive": bool(wanted.get("recursive")),
        **_size(wanted.get("size") or {}),
    }
    if quality is not None:
        arguments["quality"] = int(quality)
    return arguments


def _size(wanted: dict[str, Any]) -> UpscaleArguments:
    """Size arguments of ``upscale_all``: at most one of factor, width and height."""
    factor, width, height = (wanted.get(name) for name in ("factor", "width", "height"))
    if factor is not None and not 0 < float(factor) <= 64:
        raise GramganError(f"The factor {factor} is not between 0 and 64.", "Choose another size.")
    for side in (width, height):
        if side is not None and not 1 <= int(side) <= 2**20:
            raise GramganError(f"A side of {side} pixels is not possible.", "Choose another size.")
    if factor is not None:
        return {"outscale": float(factor)}
    if width is not None:
        return {"width": int(width)}
    return {} if height is None else {"height": int(height)}
