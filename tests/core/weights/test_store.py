"""The model store, and loading from it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gramgan_cli.cli.errors import explain
from gramgan_cli.core import archs
from gramgan_cli.core.errors import ForeignWeights, GramganError
from gramgan_cli.core.resize.baselines import BASELINES
from gramgan_cli.core.weights import embedded, repository_models, store
from gramgan_cli.core.weights.catalogue import CatalogueEntry
from gramgan_cli.core.weights.header import WeightsHeader, save_weights
from gramgan_cli.core.weights.load import load_model

TINY = {"nf": 4, "nc": 1, "scale": 2}


def tiny_file(path: Path, seed: int = 0) -> Path:
    """A saved Compact network with a few hundred parameters."""
    torch.manual_seed(seed)
    save_weights(path, archs.build("compact", TINY).state_dict(), WeightsHeader("compact", TINY, 2, licence="MIT"))
    return path


@pytest.fixture
def package_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the package's folder of embedded models, with one model 'clean'."""
    root = tmp_path / "package"
    (root / "weights").mkdir(parents=True)
    tiny_file(root / "weights" / "clean.safetensors", seed=1)
    (root / "weights" / "catalogue.toml").write_text("")
    monkeypatch.setattr(embedded.resources, "files", lambda _: root)
    return root / "weights"


def test_a_stored_model_is_found_listed_and_loaded(tmp_path: Path) -> None:
    source = tiny_file(tmp_path / "a.safetensors")
    model = store.put("my-model", source)
    assert model.path.is_relative_to(os.environ["GRAMGAN_CACHE"])
    assert model.path.read_bytes() == source.read_bytes()
    assert model.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert model in store.stored_models()
    loaded = load_model("my-model")
    assert loaded.name == "my-model"
    assert loaded.descriptor.scale == 2
    assert not loaded.network.training
    x = torch.rand(1, 3, 5, 7)
    torch.manual_seed(0)
    expected = archs.build("compact", TINY).eval()(x)
    assert torch.equal(loaded.network(x), expected)


def test_putting_again_replaces(tmp_path: Path) -> None:
    first = store.put("m", tiny_file(tmp_path / "a.safetensors", seed=1))
    second = store.put("m", tiny_file(tmp_path / "b.safetensors", seed=2))
    assert store.get("m") == second
    assert not first.path.exists()


def test_the_newer_file_holds_where_a_killed_writer_left_two(tmp_path: Path) -> None:
    first = store.put("m", tiny_file(tmp_path / "a.safetensors", seed=1))
    kept = first.path.read_bytes()
    second = store.put("m", tiny_file(tmp_path / "b.safetensors", seed=2))
    first.path.write_bytes(kept)
    os.utime(first.path, ns=(1, 1))
    assert store.get("m") == second


def test_remove_deletes_the_file(tmp_path: Path) -> None:
    path = store.put("m", tiny_file(tmp_path / "a.safetensors")).path
    store.remove("m")
    assert not path.exists()
    assert store.find("m") is None


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "a/b", "a\\b", "/etc/x", "", ".", "..", "A", "con", "nul.x", "a b", "x" * 65, "c:x", "é", "a\n"),
        *("x.pth", "x.safetensors", "my.bin", "Net.PTH", "x.pth.pth", "con.pt", "../e.pth"),
    ],
)
def test_names_that_are_refused(tmp_path: Path, name: str) -> None:
    source = tiny_file(tmp_path / "a.safetensors")
    with pytest.raises(GramganError, match="is not a valid model name") as refused:
        store.put(name, source)
    if proposed := re.search(r"for example '(.*)'", refused.value.hint or ""):
        assert store.check_name(proposed[1]) == proposed[1]
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [source]


@pytest.mark.parametrize("name", BASELINES)
def test_names_of_built_in_models_are_taken(tmp_path: Path, name: str) -> None:
    with pytest.raises(GramganError, match="built-in"):
        store.put(name, tiny_file(tmp_path / "a.safetensors"))


def test_an_unknown_name_suggests_the_nearest(tmp_path: Path) -> None:
    store.put("gramgan-x4", tiny_file(tmp_path / "a.safetensors"))
    with pytest.raises(GramganError, match=r"no model 'gramgan-4x'.*gramgan-x4"):
        load_model("gramgan-4x")


def test_a_flipped_bit_is_found_when_loading(tmp_path: Path) -> None:
    path = store.put("m", tiny_file(tmp_path / "a.safetensors")).path
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(GramganError, match=r"'m' is damaged.*models rm m"):
        load_model("m")


def test_a_foreign_file_is_not_stored(tmp_path: Path) -> None:
    foreign = tmp_path / "x.safetensors"
    foreign.write_bytes(b"nothing of the kind")
    with pytest.raises(GramganError, match="not a readable safetensors"):
        store.put("m", foreign)
    assert store.find("m") is None


def test_files_load_by_path_and_names_win_over_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_file(tmp_path / "m", seed=1)
    store.put("m", tiny_file(tmp_path / "b.safetensors", seed=2))
    of_store = load_model("m").network.state_dict()["body.0.weight"]
    of_file = load_model("./m").network.state_dict()["body.0.weight"]
    torch.manual_seed(1)
    assert torch.equal(of_file, archs.build("compact", TINY).state_dict()["body.0.weight"])
    torch.manual_seed(2)
    assert torch.equal(of_store, archs.build("compact", TINY).state_dict()["body.0.weight"])


def test_a_missing_file_and_a_pickle_are_named(tmp_path: Path) -> None:
    with pytest.raises(GramganError, match=r"no weights file .*absent\.safetensors"):
        load_model(str(tmp_path / "absent.safetensors"))
    (tmp_path / "x.pth").write_bytes(b"\x80\x02.")
    with pytest.raises(ForeignWeights, match="another tool's") as caught:
        load_model(str(tmp_path / "x.pth"))
    assert f"gramgan models import {tmp_path / 'x.pth'}" in explain(caught.value)


def test_the_embedded_model_comes_at_first_use(package_folder: Path) -> None:
    assert not store.store_dir().exists()
    model = store.get("clean")
    assert model.path.read_bytes() == (package_folder / "clean.safetensors").read_bytes()
    assert load_model("clean").header.licence == "MIT"
    assert [m.name for m in store.stored_models()] == ["clean"]


def test_a_newer_package_refreshes_the_embedded_model(package_folder: Path) -> None:
    before = store.get("clean")
    tiny_file(package_folder / "clean.safetensors", seed=5)
    after = store.get("clean")
    assert after.sha256 != before.sha256
    assert not before.path.exists()


def test_the_embedded_name_is_taken_and_comes_back(package_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(GramganError, match="built-in"):
        store.put("clean", tiny_file(tmp_path / "a.safetensors"))
    store.remove("clean")
    assert store.get("clean").path.is_file()


WRITER = """
import sys
from pathlib import Path
from gramgan_cli.core.weights import load, store
for _ in range(12):
    store.put("shared", Path(sys.argv[1]))
    load.load_model("shared")
"""


def test_processes_that_write_one_name_leave_one_whole_model(tmp_path: Path) -> None:
    sources = [tiny_file(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2)]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(source)], stderr=subprocess.PIPE, text=True)
        for source in sources
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors
    files = [path for path in store.store_dir().iterdir() if path.name != ".lock"]
    assert len(files) == 1
    store.verify(store.get("shared"))
    assert files[0].read_bytes() in [source.read_bytes() for source in sources]
    load_model("shared")


def test_an_unwritable_cache_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("GRAMGAN_CACHE", str(blocker))
    with pytest.raises(GramganError, match="Can't write"):
        store.put("m", tiny_file(tmp_path / "a.safetensors"))


@pytest.fixture
def checkout_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout as the current folder, with the catalogue's model 'large'."""
    (tmp_path / "checkout/weights").mkdir(parents=True)
    file = tiny_file(tmp_path / "checkout/weights/large.safetensors")
    content = file.read_bytes()
    entry = CatalogueEntry("large", "", hashlib.sha256(content).hexdigest(), len(content), "MIT", "compact", 2, 1, "x")
    for module in (repository_models, store):
        monkeypatch.setattr(module, "read_catalogue", lambda: {"large": entry})
    monkeypatch.chdir(tmp_path / "checkout")
    return file


def test_a_model_of_the_checkout_is_found_and_listed(checkout_file: Path) -> None:
    assert load_model("large").name == "large"
    assert store.find("large").path.read_bytes() == checkout_file.read_bytes()
    assert "large" in [model.name for model in store.stored_models()]
    with pytest.raises(GramganError, match="built-in"):
        store.put("large", checkout_file)


def test_outside_a_checkout_it_is_said_where_the_model_is(
    checkout_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GramganError, match="not been downloaded yet") as caught:
        load_model("large")
    assert "checkout" in str(caught.value)


def test_a_file_of_the_checkout_that_is_not_the_catalogues_is_not_taken(checkout_file: Path) -> None:
    tiny_file(checkout_file, seed=3)
    with pytest.raises(GramganError, match="not been downloaded yet"):
        load_model("large")
