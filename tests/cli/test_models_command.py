"""``gramgan models`` as users call it."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from gramgan_cli.cli.app import app
from gramgan_cli.core import archs
from gramgan_cli.core.errors import DownloadFailed, GramganError, TargetExists
from gramgan_cli.core.weights import store
from gramgan_cli.core.weights.catalogue import read_catalogue
from gramgan_cli.core.weights.embedded import embedded_models
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.core.weights.load import load_model
from gramgan_cli.core.weights.repository_models import checkout_model
from gramgan_cli.engines.models import commands as models

TINY = {"nf": 4, "nc": 1}
METRICS = {"Set5": {"psnr_y": 30.5, "ssim_y": 0.87}}


def run(*arguments: str) -> Result:
    """Run a command. The result's ``stdout`` is its output, ``exception`` its GramganError as main() would print it."""
    return CliRunner().invoke(app, ["models", *arguments])


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "My Model.safetensors"
    torch.manual_seed(0)
    header = WeightsHeader("compact", TINY, 4, "CC0-1.0", "tests", {"recipe": "none", "steps": 3}, METRICS)
    save_weights(path, archs.build("compact", TINY).state_dict(), header)
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server for tmp_path; yields its URL."""

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def translate_path(self, path: str) -> str:
            return str(tmp_path / unquote(path).rpartition("/")[2])

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


def test_list_as_json_has_the_agreed_fields(model_file: Path) -> None:
    assert run("import", str(model_file), "--name", "mine").exit_code == 0
    document = json.loads(run("list", "--json").stdout)
    assert list(document) == ["models"]
    rows = {row["name"]: row for row in document["models"]}
    assert rows["mine"] == {
        "name": "mine",
        "arch": "compact",
        "scale": 4,
        # 3 -> 4, 4 -> 4, 4 -> 48 with biases, two PReLUs of 4.
        "parameters": (3 * 4 * 9 + 4) + (4 * 4 * 9 + 4) + (4 * 48 * 9 + 48) + 8,
        "licence": "CC0-1.0",
        "trained_for": "tests",
        "size": store.get("mine").path.stat().st_size,
        "metrics": METRICS,
    }
    assert {"nearest", "bilinear", "bicubic", "lanczos"} <= rows.keys()


def test_list_as_table_and_as_names(model_file: Path) -> None:
    run("import", str(model_file), "--name", "mine")
    table = run("list").stdout
    assert "made for" in table
    assert re.search(r"mine\s.*tests\s.*x4\s.*MB\s.*CC0-1.0", table)
    assert all(name in table for name in read_catalogue())
    assert "mine" in run("list", "--quiet").stdout.splitlines()


def test_a_damaged_model_is_named_and_the_others_are_listed(model_file: Path) -> None:
    for name in ("mine", "other"):
        assert run("import", str(model_file), "--name", name).exit_code == 0
    broken = store.get("mine").path
    broken.write_bytes(broken.read_bytes()[:1000])
    listed = run("list", "--quiet")
    assert listed.exit_code == 0
    assert {"clean", "other", "bicubic"} <= set(listed.stdout.split())
    assert "gramgan models rm mine" in " ".join(listed.stderr.split())
    output = CliRunner().invoke(app, ["doctor"])
    assert output.exit_code == 0
    assert "an undamaged file of 'mine'" in " ".join(output.stdout.split())


@pytest.mark.parametrize(
    "wrong", [{"metrics": [1]}, {"metrics": {"Set5": 31.7}}, {"licence": ["MIT"]}, {"training": "none"}]
)
def test_a_header_whose_fields_are_of_other_types_is_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    header = WeightsHeader(**{"arch": "compact", "hyperparameters": TINY, "scale": 4, **wrong})
    save_weights(tmp_path / "x.safetensors", archs.build("compact", TINY).state_dict(), header)
    assert "damaged gramgan header" in str(run("import", str(tmp_path / "x.safetensors"), "--name", "x").exception)


def test_info_tells_the_training_record(model_file: Path) -> None:
    run("import", str(model_file), "--name", "mine")
    facts = json.loads(run("info", "mine", "--json").stdout)
    assert facts["training"] == {"recipe": "none", "steps": 3}
    assert facts["sha256"] == hashlib.sha256(Path(facts["path"]).read_bytes()).hexdigest()
    shown = run("info", "mine").stdout
    assert "training.recipe: none" in shown
    assert "metrics.Set5: psnr_y 30.5, ssim_y 0.87" in shown


@pytest.mark.parametrize("name", sorted(embedded_models()))
def test_info_fits_a_screen(name: str) -> None:
    lines = run("info", name).stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 160
    assert any(line.startswith("trained_for: ") for line in lines)


def test_path_prints_the_file(model_file: Path) -> None:
    run("import", str(model_file), "--name", "mine")
    printed = run("path", "mine").stdout
    assert printed == f"{store.get('mine').path}\n"


def test_rm_and_unknown_names(model_file: Path) -> None:
    run("import", str(model_file), "--name", "mine")
    assert run("rm", "mine").exit_code == 0
    failed = run("rm", "mine")
    assert isinstance(failed.exception, GramganError)
    assert "no model 'mine'" in str(failed.exception)


def test_verify_exits_with_1_where_a_file_is_damaged(model_file: Path) -> None:
    run("import", str(model_file), "--name", "good")
    run("import", str(model_file), "--name", "bad")
    assert run("verify").exit_code == 0
    damaged = store.get("bad").path
    damaged.write_bytes(damaged.read_bytes()[:-1])
    result = run("verify")
    assert result.exit_code == 1
    assert "good: ok" in result.stdout
    assert "bad" not in result.stdout
    assert "'bad' is damaged" in " ".join(result.stderr.split())


def test_pull_from_a_url(model_file: Path, server: str) -> None:
    sha256 = hashlib.sha256(model_file.read_bytes()).hexdigest()
    result = run("pull", f"{server}/My%20Model.safetensors", "--sha256", sha256)
    assert result.exit_code == 0, result.output
    assert load_model("my-model").header.licence == "CC0-1.0"
    assert not list((store.store_dir().parent / "downloads").iterdir())


def test_concurrent_pulls_of_one_model_take_turns(model_file: Path, server: str) -> None:
    """Two threads stand in for two processes, since the lock belongs to the open file, not the process."""
    sha256 = hashlib.sha256(model_file.read_bytes()).hexdigest()
    address = f"{server}/My%20Model.safetensors"

    def slowly(done: int, total: int | None) -> None:
        time.sleep(0.05)

    def pull(_: int) -> str:
        return models.pull(address, "both", sha256, None, True, slowly).name

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(pull, range(2))) == ["both", "both"]
    assert not list((store.store_dir().parent / "downloads").iterdir())


def test_pull_refuses_a_wrong_checksum(model_file: Path, server: str) -> None:
    result = run("pull", f"{server}/My%20Model.safetensors", "--sha256", "0" * 64)
    assert isinstance(result.exception, GramganError)
    assert store.find("my-model") is None


def test_pull_by_catalogue_name_checks_the_catalogues_checksum(
    model_file: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gramgan_cli.engines.models import commands as engine

    entry = replace(
        read_catalogue()["realesrgan-x4plus"],
        url=f"{server}/My%20Model.safetensors",
        sha256=hashlib.sha256(model_file.read_bytes()).hexdigest(),
    )
    monkeypatch.setattr(engine, "read_catalogue", lambda: {entry.name: entry})
    assert run("pull", entry.name).exit_code == 0
    assert load_model(entry.name).header.licence == "BSD-3-Clause"
    store.remove(entry.name)
    monkeypatch.setattr(engine, "read_catalogue", lambda: {entry.name: replace(entry, sha256="0" * 64)})
    assert isinstance(run("pull", entry.name).exception, GramganError)
    assert store.find(entry.name) is None


def test_a_model_that_comes_with_the_checkout_keeps_its_terms() -> None:
    assert run("pull", "rrdbnet-small").exit_code == 0
    for words, message in (
        (["--name", "foo"], "so its name and licence can't be changed"),
        (["--licence", "CC0-1.0"], "so its name and licence can't be changed"),
        (["--sha256", "0" * 64], "does not match the SHA-256"),
    ):
        assert message in str(run("pull", "rrdbnet-small", *words).exception)
    assert "not a URL" in str(run("pull", "http://[abc/x.pth").exception)


@pytest.mark.parametrize("licence", ["not a licence!!", "CC BY-NC 4.0", "(MIT", "MTI", ""])
def test_a_licence_that_is_no_spdx_expression_is_refused(model_file: Path, licence: str) -> None:
    for words in (["import", str(model_file), "--name", "mine"], ["pull", str(model_file), "--name", "mine"]):
        error = run(*words, "--licence", licence).exception
        assert isinstance(error, GramganError)
        assert "not an SPDX licence expression" in str(error)
    assert store.find("mine") is None


@pytest.mark.parametrize(
    ("licence", "stored"),
    [
        ("mit or apache-2.0", "MIT OR Apache-2.0"),
        ("GPL-2.0+", "GPL-2.0+"),
        ("(MIT OR Apache-2.0) AND CC0-1.0", "(MIT OR Apache-2.0) AND CC0-1.0"),
        ("LicenseRef-photos-only", "LicenseRef-photos-only"),
    ],
)
def test_licences_are_stored_in_the_spelling_of_spdx(model_file: Path, licence: str, stored: str) -> None:
    assert run("import", str(model_file), "--name", "mine", "--licence", licence).exit_code == 0
    assert load_model("mine").header.licence == stored


def test_offline_never_touches_the_network(model_file: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAMGAN_OFFLINE", "1")
    result = run("pull", f"{server}/My%20Model.safetensors")
    assert isinstance(result.exception, GramganError)
    assert "GRAMGAN_OFFLINE" in str(result.exception)
    assert run("pull", str(model_file)).exit_code == 0


@pytest.mark.parametrize("last", ["..%2F..%2Fevil.safetensors", "%2Ftmp%2Fevil.safetensors", "..%5Cevil.safetensors"])
def test_a_url_cannot_write_outside_the_store(
    model_file: Path, server: str, last: str, tmp_path: Path, private_folders: Path
) -> None:
    # The server answers with a valid model for any path in the URL.
    model_file.rename(tmp_path / "evil.safetensors")
    (tmp_path / "..\\evil.safetensors").write_bytes((tmp_path / "evil.safetensors").read_bytes())
    others = {path for path in tmp_path.parent.rglob("*") if path.is_file()}
    result = run("pull", f"{server}/{last}")
    new = {path for path in tmp_path.parent.rglob("*") if path.is_file()} - others
    assert new or result.exception
    assert all(path.is_relative_to(private_folders / "cache") for path in new)


def test_pull_of_an_unknown_name_suggests_the_nearest_and_lists_all() -> None:
    result = run("pull", "realesrgan-x4")
    assert "Did you mean realesrgan-x4plus" in str(result.exception)
    published = [name for name, entry in read_catalogue().items() if entry.url]
    for name in published:
        assert name in str(run("pull", "nosuch").exception)


@pytest.mark.parametrize("cap", ["catalogue", "default"])
def test_pull_stops_at_a_size(cap: str, model_file: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the catalogue's size if known, else at a documented default; also for file URLs."""
    size = model_file.stat().st_size
    if cap == "catalogue":
        entry = replace(read_catalogue()["realesrgan-x4plus"], url=f"{server}/My%20Model.safetensors", size=size - 1)
        monkeypatch.setattr(models, "read_catalogue", lambda: {entry.name: entry})
        sources = [entry.name]
    else:
        monkeypatch.setattr(models, "LARGEST_WEIGHTS", size - 1)
        sources = [f"{server}/My%20Model.safetensors", model_file.as_uri()]
    for source in sources:
        result = run("pull", source)
        assert isinstance(result.exception, DownloadFailed), result.output
        assert f"more than {size - 1} bytes" in str(result.exception)
    assert not list((store.store_dir().parent / "downloads").iterdir())


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": 4.5},
        {"scale": "4"},
        {"scale": [4]},
        {"hyperparameters": [1]},
        {"hyperparameters": {"nf": [4], "nc": 1}},
        {"hyperparameters": {"nf": 1e300}},
        {"hyperparameters": {"nf": {"a": 1}}},
        {"arch": ["compact"]},
        {"arch": "spandrel", "hyperparameters": {"design": 1, "scale": 4, "multiple_of": [8], "dtypes": 3}},
        {"metrics": {"Set5": {"psnr_y": float("nan")}}},
        {"metrics": {"Set5": {"psnr_y": [30.0]}}},
        {"metrics": {"Set5": {"psnr_y": True}}},
        {"metrics": {"Set5": {"psnr_y": 10**400}}},
        {"training": {"loss": float("inf")}},
        {"licence": "\ud800"},
    ],
    ids=str,
)
def test_an_odd_header_does_not_break_the_list(changes: dict[str, Any], model_file: Path, tmp_path: Path) -> None:
    """A file that another program put into the store, with a matching checksum."""
    tensors = archs.build("compact", TINY).state_dict()
    fields = {"arch": "compact", "hyperparameters": TINY, "scale": 4, **changes}
    save_file(tensors, tmp_path / "odd", metadata={"gramgan": json.dumps({"format": 1, **fields})})
    content = (tmp_path / "odd").read_bytes()
    run("import", str(model_file), "--name", "mine")
    (store.store_dir() / f"odd.{hashlib.sha256(content).hexdigest()}.safetensors").write_bytes(content)
    for options in ([], ["--json"], ["--quiet"]):
        listed = run("list", *options)
        assert listed.exit_code == 0, listed.exception
        assert "mine" in listed.stdout
        assert "gramgan models rm odd" in " ".join(listed.stderr.split())
    assert isinstance(run("info", "odd").exception, GramganError)
    assert run("rm", "odd").exit_code == 0


def test_escape_sequences_in_a_header_do_not_reach_the_terminal(tmp_path: Path) -> None:
    text = "\x1b[2J\x1b]0;owned\x07 \x9b31m \u202e"
    header = WeightsHeader("compact", TINY, 4, text, text, {"recipe": text}, {text: {text: 1.0}})
    save_weights(tmp_path / "x.safetensors", archs.build("compact", TINY).state_dict(), header)
    assert run("import", str(tmp_path / "x.safetensors"), "--name", "x").exit_code == 0
    for words in (["list"], ["info", "x"], ["list", "--json"], ["info", "x", "--json"]):
        assert not set(run(*words).output) & set("\x1b\x07\x9b\u202e"), words


def test_export_does_not_overwrite_unasked(model_file: Path, tmp_path: Path) -> None:
    run("import", str(model_file), "--name", "mine")
    target = tmp_path / "out.safetensors"
    target.write_text("precious")
    result = run("export", "mine", "-o", str(target))
    assert isinstance(result.exception, TargetExists)
    assert target.read_text() == "precious"
    assert run("export", "mine", "-o", str(target), "--overwrite").stdout == f"{target}\n"


def test_the_catalogue_is_whole() -> None:
    for name, entry in read_catalogue().items():
        assert store.check_name(name) == name
        assert len(bytes.fromhex(entry.sha256)) == 32
        if entry.url:
            assert entry.url.startswith("https://")
            assert store.check_free(name) == name
        else:
            assert checkout_model(name) is not None
        assert entry.arch in archs.ARCHITECTURES
        assert entry.licence
