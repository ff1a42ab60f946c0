"""Unusual sample types are read correctly or refused by name."""

from __future__ import annotations

import json
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from photo_corpus import HEIGHT, WIDTH, scene, with_tifffile
from PIL import Image
from upscale_helpers import decoded, session_of, upscale_one

from gramgan_cli.core.errors import ImageUnsupported
from gramgan_cli.core.images.floats import nodata_mask
from gramgan_cli.core.images.read import open_photo


def packed(samples: np.ndarray, bits: int) -> bytes:
    """Pack rows of samples bit by bit, most significant first, each row padded to whole bytes (TIFF 6.0)."""
    rows = []
    for row in samples.reshape(len(samples), -1):
        text = "".join(format(int(value), f"0{bits}b") for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(int(text, 2).to_bytes(len(text) // 8, "big"))
    return b"".join(rows)


def tiff_of(raw: bytes, bits: int, kind: int = 1, photometric: int = 1, order: str = "<") -> bytes:
    """A TIFF with one strip of WIDTH x HEIGHT grey samples."""
    tags = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1, 278: HEIGHT, 279: len(raw)}
    tags |= {339: kind}
    start = 8 + 2 + 12 * len(tags) + 4
    tags[273] = start
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HIH", 42, 8, len(tags))
    return head + entries + bytes(4) + raw


@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [3, 5, 6, 7, 9, 13, 17, 20, 23, 25, 28, 31, 32])
def test_integers_of_every_depth(bits, order, white_is_zero):
    top = 2**bits - 1
    samples = np.floor(scene(1, np.float64) * top).astype(np.uint64)
    stored = top - samples if white_is_zero else samples
    raw = stored.astype(order + "u4").tobytes() if bits == 32 else packed(stored, bits)
    photo = open_photo(tiff_of(raw, bits, photometric=0 if white_is_zero else 1, order=order), "x")
    found = next(photo.decode())
    white = 255 if bits <= 8 else 65535
    assert found.dtype == (np.uint8 if bits <= 8 else np.uint16)
    assert np.abs(found.astype(float) - samples.astype(float) * white / top).max() <= 0.51
    assert any("reduced to 16 bits" in warning for warning in photo.warnings) == (bits > 16)


@pytest.mark.parametrize(("bits", "kind"), [(8, 2), (16, 2), (32, 2), (24, 1), (24, 3), (64, 1), (64, 5)])
def test_samples_that_are_not_read_are_refused_by_name(bits, kind, tmp_path):
    raw = bytes(WIDTH * HEIGHT * bits // 8)
    message = upscale_one(tiff_of(raw, bits, kind), tmp_path, "a.tif").error
    assert "in a format that gramgan does not read" in message
    assert str(bits) in message
    assert "damaged" not in message


def test_samples_of_unequal_depths_are_refused_by_name(tmp_path):
    data = bytearray(with_tifffile(scene(3)))
    at = data.index(struct.pack("<HHH", 8, 8, 8))
    data[at : at + 6] = struct.pack("<HHH", 5, 6, 5)
    assert "5, 6, 5 bits" in upscale_one(bytes(data), tmp_path, "a.tif").error


BIG = {"byteorder": ">", "bigtiff": True}


@pytest.mark.parametrize(
    ("channels", "options"),
    [(3, {}), (1, {}), (3, {"compression": "jpeg"}), (3, {"tile": (16, 16)}), (4, {"extrasamples": ["unassalpha"]})],
)
def test_big_endian_bigtiff_of_8_bits_opens(channels, options, tmp_path):
    image = scene(channels)
    data = with_tifffile(image[:, :, 0] if channels == 1 else image, **BIG, **options)
    record = upscale_one(data, tmp_path, "a.tif")
    assert record.error is None
    tolerance = 40 if "compression" in options else 0
    assert np.abs(decoded(Path(record.output))[::4, ::4].astype(int) - image).max() <= tolerance


def bmp(masks: tuple[int, ...], bits: int, pixels: np.ndarray, size: int = 124, more: bytes = b"") -> bytes:
    """A BMP with (H, W) pixels whose colours are selected by bit masks."""
    height, width = pixels.shape
    rows = b"".join(row.tobytes() + bytes(-len(row.tobytes()) % 4) for row in pixels[::-1].astype(f"<u{bits // 8}"))
    head = struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, 3, len(rows), 0, 0, 0, 0)
    head = (head + struct.pack(f"<{len(masks)}I", *masks)).ljust(size, b"\0")
    if more:
        head = head[:56] + b"DEBM" + head[60:112] + struct.pack("<II", size + len(rows), len(more)) + head[120:]
    start = 14 + size
    return struct.pack("<2sIHHI", b"BM", start + len(rows) + len(more), 0, 0, start) + head + rows + more


MASKS = {
    "A1R5G5B5": ((0x7C00, 0x3E0, 0x1F, 0x8000), 16),
    "A4R4G4B4": ((0xF00, 0xF0, 0xF, 0xF000), 16),
    "R5G6B5": ((0xF800, 0x7E0, 0x1F), 16),
    "A2R10G10B10": ((0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000), 32),
    "RGBA with alpha first": ((0xFF00, 0xFF0000, 0xFF000000, 0xFF), 32),
    "odd": ((0xFF, 0x3FF00, 0x7FC0000), 32),
}


@pytest.mark.parametrize("name", sorted(MASKS))
def test_bit_fields_of_bmp_are_read_with_their_alpha(name, tmp_path):
    masks, bits = MASKS[name]
    pixels = np.random.default_rng(5).integers(0, 2**bits, (7, 5), np.uint64)
    record = upscale_one(bmp(masks, bits, pixels), tmp_path, "a.bmp")
    assert record.error is None
    found = decoded(Path(record.output))[::4, ::4]
    for index, mask in enumerate(masks):
        shift = (mask & -mask).bit_length() - 1
        expected = ((pixels & np.uint64(mask)) >> np.uint64(shift)).astype(float) * 255 / (mask >> shift)
        hidden = found[:, :, 3] == 0 if len(masks) == 4 else np.zeros((7, 5), bool)
        wrong = np.abs(found[:, :, index] - expected) > 0.51
        assert not (wrong & ~hidden).any() if index < 3 else not wrong.any()


def test_the_profile_of_a_bmp_is_kept(tmp_path):
    from photo_parts import DISPLAY_P3

    pixels = np.random.default_rng(5).integers(0, 2**24, (7, 5), np.uint64)
    data = bmp((0xFF0000, 0xFF00, 0xFF), 32, pixels, more=DISPLAY_P3)
    record = upscale_one(data, tmp_path, "a.bmp")
    assert record.warnings == []
    assert Image.open(record.output).info["icc_profile"] == DISPLAY_P3
    linked = data.replace(b"DEBM", b"KNIL").replace(DISPLAY_P3, b"C:\\p3.icc".ljust(len(DISPLAY_P3), b"\0"))
    assert "p3.icc" in upscale_one(linked, tmp_path, "b.bmp").warnings[0]


def elevation() -> np.ndarray:
    """A smooth surface with values from 50 to 150."""
    return (50 + 100 * scene(1, np.float64)[:, :, 0]).astype(np.float32)


NODATA = {
    "-9999": -9999.0,
    "-3.4e38": np.finfo(np.float32).min,
    "3.4e38": np.finfo(np.float32).max,
    "NaN": np.nan,
    "-inf": -np.inf,
    "-32768": -32768.0,
}


@pytest.mark.parametrize("model", ["nearest", "bicubic", "lanczos", "clean"])
@pytest.mark.parametrize("mark", sorted(NODATA))
def test_no_data_stays_apart_from_what_is_valid(mark, model, tmp_path):
    surface, value = elevation(), np.float32(NODATA[mark])
    surface[5:9, 10:20] = value
    surface[0, 0] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        record = upscale_one(with_tifffile(surface), tmp_path, "a.tif", session=session_of(model), overwrite=True)
    assert record.error is None
    assert any("no data" in warning for warning in record.warnings)
    found = tifffile.imread(record.output)
    hole = np.repeat(np.repeat(np.isin(surface, value) | np.isnan(surface), 4, 0), 4, 1)
    assert np.array_equal(found[hole], np.full(hole.sum(), value), equal_nan=True)
    assert found[~hole].min() > 40
    assert found[~hole].max() < 160
    if model == "nearest":
        assert np.array_equal(found[::4, ::4], surface, equal_nan=True)


@pytest.mark.parametrize("form", ["png", "jpg", "webp", "tiff"])
@pytest.mark.parametrize("bits", [0x7F800001, 0xFFC00000, 0x7F800000, 0xFF7FFFFF])
def test_no_float_whatever_its_bits_gives_a_warning_of_numpy_s(bits, form, tmp_path):
    """Signalling and quiet NaN, infinity, the most negative number."""
    image = scene(4, np.float32)
    image.view(np.uint32)[3, 4, :] = bits
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        record = upscale_one(with_tifffile(image, extrasamples=["unassalpha"]), tmp_path, "a.tif", format=form)
    assert record.error is None


def test_declared_no_data_is_taken_at_its_word(tmp_path):
    surface = elevation()
    surface[5:9, 10:20] = 77
    data = with_tifffile(surface, extratags=[(42113, 2, 3, "77", True)])
    record = upscale_one(data, tmp_path, "a.tif", session=session_of("lanczos"))
    found = tifffile.imread(record.output)
    assert (found[20:36, 40:80] == 77).all()
    assert tifffile.TiffFile(record.output).pages[0].tags[42113].value == "77"


@pytest.mark.parametrize(("mark", "level"), [(-9999.0, 0.0), (-9999.0, 7.5), (1e20, 0.0)])
def test_no_data_beside_one_level_is_found(mark, level):
    image = np.full((4, 4, 1), level, np.float32)
    image[:2] = mark
    np.testing.assert_array_equal(nodata_mask(image, None), image == np.float32(mark))


def test_an_image_without_valid_values_is_warned_of_in_plain_numbers(tmp_path):
    record = upscale_one(with_tifffile(np.full((6, 6), np.nan, np.float32)), tmp_path, "a.tif")
    assert record.warnings[0].startswith("100% of its values")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("photometric", "channels"), [("rgb", 3), ("rgb", 4), ("minisblack", 2)])
@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (4, 4), (5, 9)])
def test_planes_are_never_taken_for_rows(dtype, photometric, channels, shape):
    image = np.random.default_rng(0).integers(1, 255, (channels, *shape)).astype(dtype)
    extra = ["unassalpha"] if channels in (2, 4) else []
    data = with_tifffile(image, photometric=photometric, planarconfig="separate", extrasamples=extra)
    (found,) = open_photo(data, "a.tif").decode()
    np.testing.assert_array_equal(found, np.moveaxis(image, 0, 2))


def test_ordinary_floating_point_pictures_have_no_gaps():
    for image in (
        np.float32([[0.0, 255.0], [255.0, 0.0]])[:, :, None],
        np.float32([[-9999.0, 9999.0]])[:, :, None],
        np.float32([[9999.0, 10000.0]])[:, :, None],
        scene(3, np.float32),
        np.tile(np.float32([[0.0, 0.5, 1.0]]), (4, 4))[:, :, None],
        np.zeros((5, 5, 1), np.float32),
        np.float32(np.random.default_rng(1).lognormal(0, 1.5, (40, 40, 3))),
    ):
        assert nodata_mask(image, None) is None


def geo_tags(point: bool = False) -> list[tuple]:
    keys = (1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, 2 if point else 1)
    return [
        (33550, 12, 3, (10.0, 20.0, 0.0), True),
        (33922, 12, 6, (3.0, 2.0, 0.0, 500000.0, 4100000.0, 0.0), True),
        (34735, 3, len(keys), keys, True),
        (42113, 2, 4, "255", True),
    ]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("point", [False, True])
def test_the_position_on_the_earth_stays_true(point, order, tmp_path):
    image = scene(3)
    image[(image == 255).all(axis=2)] = 254  # declared no-data values would give a warning
    data = with_tifffile(image, extratags=geo_tags(point), byteorder=order)
    record = upscale_one(data, tmp_path, "a.tif")
    assert record.warnings == []
    tags = tifffile.TiffFile(record.output).pages[0].tags
    (across, down, _), (column, row, _, east, north, _) = tags[33550].value, tags[33922].value
    assert (across, down) == (2.5, 5.0)
    half = 0.5 if point else 0.0

    def at(column_, row_, tie, size, position):
        return position + (column_ - half - tie) * size if size else row_

    # Ground coordinates of the picture's outer corner and of its far end, in both.
    for before, after in ((0, 0), (WIDTH, 4 * WIDTH)):
        assert at(after, 0, column, across, east) == pytest.approx(at(before, 0, 3.0, 10.0, 500000.0))
    for before, after in ((0, 0), (HEIGHT, 4 * HEIGHT)):
        assert at(after, 0, row, -down, north) == pytest.approx(at(before, 0, 2.0, -20.0, 4100000.0))
    record = upscale_one(data, tmp_path, "a.tif", format="png")
    assert "GeoTIFF" in record.warnings[0]


def test_a_geo_transformation_is_divided_by_the_scale(tmp_path):
    matrix = (10.0, 1.0, 0, 500.0, 2.0, -20.0, 0, 900.0, 0, 0, 0, 0, 0, 0, 0, 1.0)
    data = with_tifffile(scene(3), extratags=[(34264, 12, 16, matrix, True)])
    tags = tifffile.TiffFile(upscale_one(data, tmp_path, "a.tif").output).pages[0].tags
    assert tags[34264].value == (2.5, 0.25, 0, 500.0, 0.5, -5.0, 0, 900.0, 0, 0, 0, 0, 0, 0, 0, 1.0)


def test_sizes_in_ome_xml_follow_the_picture(tmp_path):
    path = tmp_path / "a.ome.tif"
    details = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"}
    tifffile.imwrite(path, scene(3), photometric="rgb", ome=True, metadata=details)
    record = upscale_one(path.read_bytes(), tmp_path, "a.ome.tif")
    described = tifffile.TiffFile(record.output).ome_metadata
    assert f'SizeX="{4 * WIDTH}"' in described
    assert f'SizeY="{4 * HEIGHT}"' in described
    assert 'SizeC="3"' in described
    assert 'PhysicalSizeX="0.125"' in described
    assert tifffile.TiffFile(record.output).series[0].shape == (4 * HEIGHT, 4 * WIDTH, 3)


def test_the_shape_that_tifffile_notes_follows_the_picture(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, scene(3), photometric="rgb", metadata={"note": "mine"})
    record = upscale_one(path.read_bytes(), tmp_path, "b.tif", format="tiff")
    noted = json.loads(tifffile.TiffFile(record.output).pages[0].tags[270].value)
    assert noted["shape"] == [4 * HEIGHT, 4 * WIDTH, 3]
    assert noted["note"] == "mine"


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("bands", [3, 5, 8])
def test_bands_beyond_the_first_are_named_where_they_are_left_out(bands, planes):
    """Of many bands without a meaning, the first is the picture."""
    shape = (20, 30, bands) if planes == "contig" else (bands, 20, 30)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    photo = open_photo(with_tifffile(pixels, photometric="minisblack", planarconfig=planes), "a.tif")
    (found,) = photo.decode()
    assert np.array_equal(found[:, :, 0], pixels[:, :, 0] if planes == "contig" else pixels[0])
    assert photo.warnings == ("Samples that are neither colour nor alpha were left out.",)


@pytest.mark.parametrize(("compression", "named"), [("jpegxl", "JPEG XL"), ("jpeg2000", "JPEG 2000"), ("png", "PNG")])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_compressions_that_are_not_read_are_named(compression, named, dtype):
    data = with_tifffile(scene(3, dtype), photometric="rgb", compression=compression)
    with pytest.raises(ImageUnsupported, match=f"TIFF with {named} compression"):
        list(open_photo(data, "a.tif").decode())


def test_the_tags_of_a_compression_are_not_named_as_lost():
    photo = open_photo(with_tifffile(scene(3), photometric="rgb", compression="lerc"), "a.tif")
    assert photo.warnings == ()
