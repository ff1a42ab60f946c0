"""Paths and names of results over many files: nothing is replaced, nothing collides."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from photo_corpus import scene, with_pillow
from PIL import Image
from upscale_helpers import JPEG, PNG, files, put, upscale

from gramgan_cli.core.errors import GramganError, UsageError
from gramgan_cli.core.resize.sizes import SizeChoice


def test_results_lie_beside_their_sources(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "b.JPG", JPEG)
    put(tmp_path / "c.bmp", with_pillow(scene(3), "BMP"))
    upscale([tmp_path])
    assert files(tmp_path) == ["a.png", "a_x4.png", "b.JPG", "b_x4.JPG", "c.bmp", "c_x4.png"]


def test_a_second_run_does_not_enlarge_its_own_results(tmp_path):
    put(tmp_path / "a.png")
    upscale([tmp_path])
    records = upscale([tmp_path], overwrite=True)
    assert [Path(record.input).name for record in records] == ["a.png"]


def test_results_in_another_format_are_not_enlarged_either(tmp_path):
    put(tmp_path / "a.png")
    upscale([tmp_path], format="jpg")
    records = upscale([tmp_path])
    assert [Path(record.input).name for record in records] == ["a.png"]
    assert files(tmp_path) == ["a.png", "a_x4.jpg", "a_x4.png"]


def test_results_in_a_folder_inside_the_source_are_not_enlarged_again(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "one" / "b.png")
    for form in ("png", "jpg"):
        upscale([tmp_path], tmp_path / "large", recursive=True, format=form)
    assert files(tmp_path / "large") == ["a_x4.jpg", "a_x4.png", "one/b_x4.jpg", "one/b_x4.png"]


def test_recursive_mirrors_the_tree(tmp_path):
    for name in ("a.png", "one/a.png", "one/two/b.png", "one/notes.txt", ".hidden/c.png"):
        put(tmp_path / "in" / name)
    upscale([tmp_path / "in"], tmp_path / "out", recursive=True)
    assert files(tmp_path / "out") == ["a_x4.png", "one/a_x4.png", "one/two/b_x4.png"]
    upscale([tmp_path / "in"], tmp_path / "flat")
    assert files(tmp_path / "flat") == ["a_x4.png"]


def test_one_picture_to_a_named_file_takes_its_format(tmp_path):
    put(tmp_path / "a.png")
    record = upscale([tmp_path / "a.png"], tmp_path / "deep" / "result.webp")[0]
    assert record.output == str(tmp_path / "deep" / "result.webp")
    assert Image.open(record.output).format == "WEBP"


def test_globs(tmp_path):
    for name in ("a1.png", "a2.png", "b.png"):
        put(tmp_path / name)
    upscale([str(tmp_path / "a?.png")], tmp_path / "out")
    assert files(tmp_path / "out") == ["a1_x4.png", "a2_x4.png"]


def test_a_picture_that_is_named_twice_is_done_once(tmp_path):
    put(tmp_path / "a.png")
    assert len(upscale([tmp_path / "a.png", tmp_path / "a.png", tmp_path])) == 1


def test_templates(tmp_path):
    put(tmp_path / "a.png")
    record = upscale([tmp_path / "a.png"], template="{stem}-{model}-{ext}-by{scale}")[0]
    assert Path(record.output).name == "a-nearest-png-by4.png"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{name}", "no field {name}"),
        ("a/b", "without folders"),
        ("{stem", "can't be read"),
        ("", "without folders"),
        ("{stem:d}", "can't be read"),
        ("{stem}.{ext}", r"Leave out \.{ext}"),
        ("{stem}.JPG", r"Leave out \.JPG"),
    ],
)
def test_impossible_templates(template, message, tmp_path):
    put(tmp_path / "a.png")
    with pytest.raises(UsageError, match=message):
        upscale([tmp_path / "a.png"], template=template)


@pytest.mark.parametrize("name", ["ünï çødé 日本語 🎈.png", "with space.png", "-x.png", "a.b.c.png", "q'uote\".png"])
def test_names_of_any_kind(name, tmp_path):
    record = upscale([put(tmp_path / name)])[0]
    assert record.error is None
    assert Path(record.output).name == name.removesuffix(".png") + "_x4.png"


@pytest.mark.parametrize("character", ["a", "é", "日"])
def test_the_longest_name_is_shortened_not_refused(character, tmp_path):
    name = character * ((255 - 4) // len(character.encode())) + ".png"
    record = upscale([put(tmp_path / name)])[0]
    assert record.error is None
    assert Path(record.output).is_file()


def test_links_are_followed_and_not_replaced(tmp_path):
    put(tmp_path / "real" / "a.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "real" / "a.png")
    record = upscale([tmp_path / "link.png"])[0]
    assert record.output == str(tmp_path / "link_x4.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nothing.png")
    with pytest.raises(GramganError, match=r"dangling\.png is a broken link"):
        upscale([tmp_path / "dangling.png"])


def test_a_folder_that_is_called_like_a_picture(tmp_path):
    put(tmp_path / "in" / "x.png" / "inside.png")
    put(tmp_path / "in" / "a.png")
    upscale([tmp_path / "in"], tmp_path / "out")
    assert files(tmp_path / "out") == ["a_x4.png"]
    (tmp_path / "in" / "a_x4.png").mkdir()
    record = upscale([tmp_path / "in" / "a.png"])[0]
    assert "a_x4.png is a folder" in record.error


# ---- errors before the work ----------------------------------------------------------------------------------------


def test_two_inputs_for_one_result(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "a.bmp", with_pillow(scene(3), "BMP"))
    with pytest.raises(GramganError, match=r"a\.bmp and .*a\.png would both be written to .*a_x4\.png"):
        upscale([tmp_path])
    assert files(tmp_path) == ["a.bmp", "a.png"]
    assert all(r.error is None for r in upscale([tmp_path], template="{stem}_{ext}_x4"))


def test_two_inputs_whose_contents_lead_to_one_result(tmp_path):
    """A JPEG named .png collides by its content, which is found before anything is upscaled."""
    put(tmp_path / "a.png", JPEG)
    put(tmp_path / "a.jpg", JPEG)
    for options in ({}, {"overwrite": True}, {"skip_existing": True}):
        with pytest.raises(GramganError, match=r"a\.jpg and .*a\.png would both be written to .*a_x4\.jpg"):
            upscale([tmp_path], **options)
    assert files(tmp_path) == ["a.jpg", "a.png"]
    put(tmp_path / "a.jpg", PNG)
    put(tmp_path / "a.png", PNG)
    with pytest.raises(GramganError, match="would both be written"):
        upscale([tmp_path])


def test_names_alone_do_not_collide(tmp_path):
    """Two pages stay TIFF, so their result does not collide with that of a PNG of the same name."""
    page = Image.fromarray(scene(3))
    put(tmp_path / "a.tif", with_pillow(page, "TIFF", save_all=True, append_images=[page]))
    put(tmp_path / "a.png")
    assert all(result.error is None for result in upscale([tmp_path]))
    assert files(tmp_path) == ["a.png", "a.tif", "a_x4.png", "a_x4.tif"]


def test_a_result_never_replaces_an_input(tmp_path):
    put(tmp_path / "a.png")
    with pytest.raises(GramganError, match="would replace the input"):
        upscale([tmp_path / "a.png"], template="{stem}", overwrite=True)
    with pytest.raises(GramganError, match="would replace the input"):
        upscale([tmp_path / "a.png"], tmp_path / "a.png", overwrite=True)
    (tmp_path / "other.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(GramganError, match="would replace the input"):
        upscale([tmp_path / "a.png"], tmp_path / "other.png", overwrite=True)
    put(tmp_path / "a.bmp", with_pillow(scene(3), "BMP"))
    put(tmp_path / "a_x4.png")
    for inputs, template in (((".bmp", ".png"), "{stem}"), ((".png", "_x4.png"), "{stem}_x{scale}")):
        with pytest.raises(GramganError, match="would replace the input"):
            upscale([tmp_path / f"a{end}" for end in inputs], template=template, overwrite=True)
    assert (tmp_path / "a_x4.png").read_bytes() == PNG
    assert (tmp_path / "a.png").read_bytes() == PNG


@pytest.mark.parametrize(
    ("photo", "options"),
    [
        ("a_x4.png", {}),
        ("a_x2.png", {"size": SizeChoice(factor=2.0)}),
        ("a_24x24.png", {"size": SizeChoice(width=24, height=24)}),
        ("a_big.png", {"template": "{stem}_big"}),
        ("a_x4.jpg", {"format": "jpg"}),
        ("a_x4.jpg", {"source": JPEG}),  # named .png
    ],
)
def test_a_photo_with_a_results_name_is_not_replaced(photo, options, tmp_path):
    """Only a mark or a record proves a result; a name does not."""
    put(tmp_path / "a.png", options.pop("source", PNG))
    kept = put(tmp_path / photo, JPEG if photo.endswith("jpg") else PNG).read_bytes()
    for output in (None, tmp_path):
        with pytest.raises(GramganError, match=rf"a\.png would replace .*{photo}, which may be a photo"):
            upscale([tmp_path], output, overwrite=True, **options)
    assert (tmp_path / photo).read_bytes() == kept
    (tmp_path / photo).unlink()
    for _ in range(2):  # the second run replaces what the first wrote
        assert [result.error for result in upscale([tmp_path], overwrite=True, **options)] == [None]
    assert files(tmp_path) == sorted(["a.png", photo])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_a_folder_is_named_and_not_waited_for(tmp_path):
    put(tmp_path / "in" / "b.png")
    os.mkfifo(tmp_path / "in" / "a.png")
    bad, good = upscale([tmp_path / "in"], tmp_path / "out")
    assert "a.png is not a regular file" in bad.error
    assert good.error is None


def test_an_empty_name_is_not_the_current_folder(tmp_path, monkeypatch):
    put(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="empty name"):
        upscale([""])
    assert files(tmp_path) == ["a.png"]


@pytest.mark.parametrize("name", ["nothing.png", "no*thing"])
def test_missing_inputs(name, tmp_path):
    with pytest.raises(GramganError, match="There is no file or folder"):
        upscale([tmp_path / name])


def test_folders_without_pictures(tmp_path):
    put(tmp_path / "sub" / "a.png")
    with pytest.raises(GramganError, match=r"no photos in the folder .*`recursive`"):
        upscale([tmp_path])


def test_outputs_that_make_no_sense(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "b.png")
    with pytest.raises(UsageError, match="several photos"):
        upscale([tmp_path], tmp_path / "one.png")
    with pytest.raises(UsageError, match=r"does not write '\.xyz'"):
        upscale([tmp_path / "a.png"], tmp_path / "one.xyz")
    with pytest.raises(UsageError, match="`format` is jpg"):
        upscale([tmp_path / "a.png"], tmp_path / "one.png", format="jpg")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_found_before_the_work(tmp_path):
    put(tmp_path / "a.png")
    (tmp_path / "out").mkdir(mode=0o555)
    with pytest.raises(GramganError, match="Can't write to the folder"):
        upscale([tmp_path / "a.png"], tmp_path / "out")


def test_a_folder_that_can_not_be_made_is_found_before_the_work(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "file")
    with pytest.raises(GramganError, match="Can't write to the folder"):
        upscale([tmp_path / "a.png"], tmp_path / "file" / "out")


@pytest.mark.parametrize("below", ["", "deep/"])
def test_results_may_keep_the_names_of_their_photos(below, tmp_path):
    """Photos are not taken for results of earlier runs because results are called like them."""
    for name in ("a.png", "b.jpg", "c.png"):
        put(tmp_path / "in" / below / name, JPEG if name.endswith("jpg") else PNG)
    results = upscale([tmp_path / "in"], tmp_path / "out", template="{stem}", recursive=True)
    assert [record.error for record in results] == [None] * 3
    assert files(tmp_path / "out") == [f"{below}{name}" for name in ("a.png", "b.jpg", "c.png")]
    again = upscale([tmp_path / "in"], tmp_path / "in/larger", template="{stem}", recursive=True)
    assert [record.error for record in again] == [None] * 3
    with pytest.raises(GramganError, match="results of earlier runs"):
        upscale([tmp_path / "in/larger"], tmp_path / "again", template="{stem}", recursive=True)
