"""XMP: properties that are kept, that follow the picture, and that are removed."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
import tifffile
from photo_corpus import HEIGHT, WIDTH, exif_with, scene, with_pillow
from photo_parts import XMP
from PIL import Image
from upscale_helpers import upscale_one

from gramgan_cli.core.images.metadata.xmp import updated_xmp

FORMATS = ["png", "jpg", "webp", "tiff", "avif"]


def xmp_of(path: str) -> bytes:
    """The XMP packet, as read by Pillow or tifffile."""
    if path.endswith((".tif", ".tiff")):
        return bytes(tifffile.TiffFile(path).pages[0].tags[700].value)
    found = Image.open(path).info["xmp"]
    return found.encode() if isinstance(found, str) else bytes(found)


@pytest.mark.parametrize("form", FORMATS)
def test_xmp_is_kept_with_the_orientation_of_the_result(form, tmp_path):
    data = with_pillow(scene(3), "JPEG", xmp=XMP, quality=95, exif=exif_with(6))
    record = upscale_one(data, tmp_path, "a.jpg", format=form)
    assert record.output_size == (4 * HEIGHT, 4 * WIDTH)
    found = xmp_of(record.output)
    assert b"<dc:title>A title</dc:title>" in found
    assert b'tiff:Orientation="1"' in found
    assert f'tiff:ImageWidth="{4 * HEIGHT}"'.encode() in found


@pytest.mark.parametrize("form", FORMATS)
def test_an_orientation_that_stands_in_xmp_alone_is_left_as_it_is(form, tmp_path):
    """Programs that obey it rotate the result like the source; the others rotate neither."""
    record = upscale_one(with_pillow(scene(3), "JPEG", xmp=XMP, quality=95), tmp_path, "a.jpg", format=form)
    assert record.output_size == (4 * WIDTH, 4 * HEIGHT)
    found = xmp_of(record.output)
    assert b'tiff:Orientation="6"' in found
    assert f'tiff:ImageWidth="{4 * WIDTH}"'.encode() in found


def test_xmp_as_elements():
    other = b"<o:Orientation>8</o:Orientation>"
    before = b"<tiff:Orientation>8</tiff:Orientation><exif:PixelYDimension> 5 </exif:PixelYDimension>" + other
    after = b"<tiff:Orientation>1</tiff:Orientation><exif:PixelYDimension> 20 </exif:PixelYDimension>" + other
    assert updated_xmp(before, 40, 20) == after


def packet(attributes: str, elements: str = "", **prefixes: str) -> bytes:
    """An XMP packet with the given properties."""
    spaces = "".join(f' xmlns:{prefix}="{address}"' for prefix, address in prefixes.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"{spaces} {attributes}>'
        f"<dc:title>A title</dc:title>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


GOOGLE = "http://ns.google.com/photos/1.0/"
DIRECTORY = (
    '<C:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><C:Item I:Mime="image/jpeg" I:Semantic="Primary"/></rdf:li>'
    '<rdf:li rdf:parseType="Resource"><C:Item I:Mime="video/mp4" I:Semantic="MotionPhoto" I:Length="99"/></rdf:li>'
    "</rdf:Seq></C:Directory>"
)

ANNOUNCED = {
    "gain map": ('hdrgm:Version="1.0" hdrgm:GainMapMax="2"', "", {"hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/"}),
    "gain map as elements": (
        "",
        "<g:Version>1.0</g:Version><g:GainMapMax><rdf:Seq><rdf:li>2</rdf:li></rdf:Seq></g:GainMapMax>",
        {"g": "http://ns.adobe.com/hdr-gain-map/1.0/"},
    ),
    "motion photo": (
        'GCamera:MotionPhoto="1" GCamera:MotionPhotoPresentationTimestampUs="5" GCamera:MicroVideoOffset="9"',
        "",
        {"GCamera": GOOGLE + "camera/"},
    ),
    "container": ("", DIRECTORY, {"C": GOOGLE + "container/", "I": GOOGLE + "container/item/"}),
    "Apple's gain map": ('H:HDRGainMapVersion="65536"', "", {"H": "http://ns.apple.com/HDRGainMap/1.0/"}),
}


@pytest.mark.parametrize("what", sorted(ANNOUNCED))
@pytest.mark.parametrize("form", FORMATS)
def test_xmp_announces_nothing_that_the_result_does_not_have(what, form, tmp_path):
    attributes, elements, prefixes = ANNOUNCED[what]
    data = with_pillow(scene(3), "JPEG", xmp=packet(attributes, elements, **prefixes))
    found = xmp_of(upscale_one(data, tmp_path, "a.jpg", format=form).output)
    for prefix, address in prefixes.items():
        assert prefix.encode() + b":" not in found
        assert address.encode() not in found
    root = ElementTree.fromstring(found[found.index(b"<x:xmpmeta") : found.rindex(b">") + 1])
    assert root.find(".//{http://purl.org/dc/elements/1.1/}title").text == "A title"


def test_other_properties_of_a_camera_s_namespace_stay():
    before = packet('GCamera:MotionPhoto="1" GCamera:BurstID="abc"', GCamera=GOOGLE + "camera/")
    after = updated_xmp(before, 4, 4)
    assert b'GCamera:BurstID="abc"' in after
    assert b"MotionPhoto" not in after
    assert GOOGLE.encode() in after


def test_sizes_of_a_panorama_follow_the_picture(tmp_path):
    """Photo Sphere XMP, with all sizes in pixels of the picture."""
    names = {
        "FullPanoWidthPixels": 2 * WIDTH,
        "FullPanoHeightPixels": 3 * HEIGHT,
        "CroppedAreaImageWidthPixels": WIDTH,
        "CroppedAreaImageHeightPixels": HEIGHT,
        "CroppedAreaLeftPixels": 7,
        "CroppedAreaTopPixels": 0,
    }
    as_attributes = " ".join(f'GPano:{name}="{value}"' for name, value in names.items())
    as_elements = "".join(f"<GPano:{name}>{value}</GPano:{name}>" for name, value in names.items())
    for written in ((as_attributes + ' GPano:InitialViewHeadingDegrees="90"', ""), ("", as_elements)):
        data = with_pillow(scene(3), "JPEG", xmp=packet(*written, GPano=GOOGLE + "panorama/"))
        found = xmp_of(upscale_one(data, tmp_path, "a.jpg", overwrite=True).output).decode()
        for name, value in names.items():
            assert re.search(rf"GPano:{name}(?:=\"|>){4 * value}[\"<]", found), name
        assert ("Degrees" in found) == ('Degrees="90"' in found)


def test_the_size_that_faces_were_marked_in_follows_the_picture():
    dims = '<mwg-rs:AppliedToDimensions stDim:w="34" stDim:h="21" stDim:unit="pixel"/><stArea:x>0.5</stArea:x>'
    after = updated_xmp(packet("", dims), 136, 84, (4.0, 4.0))
    assert b'stDim:w="136" stDim:h="84"' in after
    assert b"<stArea:x>0.5<" in after


def test_the_size_of_the_picture_that_a_depth_map_belongs_to_follows():
    before = packet('GDepth:ImageWidth="34" GDepth:ImageHeight="21"', GDepth=GOOGLE + "depthmap/")
    assert b'GDepth:ImageWidth="136" GDepth:ImageHeight="84"' in updated_xmp(before, 136, 84, (4.0, 4.0))


@pytest.mark.parametrize(
    ("outer", "inner", "unit"),
    [
        ("mwg-rs:AppliedToDimensions", "stDim", "pixel"),
        ("acdsee-rs:AppliedToDimensions", "acdsee-stDim", "pixel"),
        ("xmpTPg:MaxPageSize", "stDim", "Pixels"),
    ],
)
@pytest.mark.parametrize("style", ["attributes", "elements", "description"])
def test_sizes_that_other_programs_mark_regions_in_follow_the_picture(outer, inner, unit, style):
    parts = {"w": "34", "h": "21", "unit": unit}
    attributes = "".join(f' {inner}:{name}="{value}"' for name, value in parts.items())
    elements = "".join(f"<{inner}:{name}>{value}</{inner}:{name}>" for name, value in parts.items())
    written = {
        "attributes": f"<{outer}{attributes}/>",
        "elements": f'<{outer} rdf:parseType="Resource">{elements}</{outer}>',
        "description": f"<{outer}><rdf:Description{attributes}/></{outer}>",
    }[style]
    after = updated_xmp(packet("", written), 136, 84, (4.0, 4.0)).decode()
    assert re.search(rf"{inner}:w(?:=\"|>)136[\"<].*{inner}:h(?:=\"|>)84[\"<]", after)
    unchanged = packet("", written.replace(unit, "inch"))
    assert updated_xmp(unchanged, 136, 84, (4.0, 4.0)) == unchanged


def test_the_link_to_a_manifest_inside_the_file_goes_with_it(tmp_path):
    xmp = packet('dcterms:provenance="self#jumbf=/c2pa/urn:uuid:1"', dcterms="http://purl.org/dc/terms/")
    found = xmp_of(upscale_one(with_pillow(scene(3), "JPEG", xmp=xmp), tmp_path, "a.jpg").output)
    assert b"self#" not in found


@pytest.mark.parametrize("form", FORMATS)
def test_xmp_does_not_point_to_an_extension_that_is_left_out(form, tmp_path):
    xmp = packet('xmpNote:HasExtendedXMP="00"', xmpNote="http://ns.adobe.com/xmp/note/")
    body = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + bytes(8) + b"<xml>"
    extra = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    found = xmp_of(
        upscale_one(with_pillow(scene(3), "JPEG", xmp=xmp, extra=extra), tmp_path, "a.jpg", format=form).output
    )
    assert (b"HasExtendedXMP" in found) == (form == "jpg")
