import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data.files.png16 import decode_png16, encode_png16

pytestmark = pytest.mark.backend_free

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(scanlines, width, height, depth=16, color=2, interlace=0):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    half = zlib.compress(scanlines)
    middle = len(half) // 2
    return b"".join(
        [
            SIGNATURE,
            chunk(b"IHDR", header),
            chunk(b"tEXt", b"Comment\0passed over"),
            chunk(b"IDAT", half[:middle]),
            chunk(b"IDAT", half[middle:]),
            chunk(b"IEND", b""),
        ]
    )


def filtered(pixels, filters):
    """Filter as the PNG specification says, a byte at a time."""
    height, width, _ = pixels.shape
    raw = pixels.astype(">u2").tobytes()
    stride, out = 6 * width, bytearray()

    def at(y, x):
        return raw[y * stride + x] if y >= 0 and x >= 0 else 0

    for y, kind in enumerate(filters):
        out.append(kind)
        for x in range(stride):
            left, above, corner = at(y, x - 6), at(y - 1, x), at(y - 1, x - 6)
            guess = left + above - corner
            nearest = min((left, above, corner), key=lambda value: abs(guess - value))
            predictions = (0, left, above, (left + above) // 2, nearest)
            out.append((at(y, x) - predictions[kind]) % 256)
    return bytes(out)


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 65536, (10, 7, 3)).astype(np.uint16)


def test_encoding_and_decoding_returns_every_pixel(pixels, rng):
    for image in (pixels, pixels[:1, :1], rng.integers(0, 3, (33, 1, 3)).astype(np.uint16)):
        np.testing.assert_array_equal(decode_png16(encode_png16(image)), image)


@pytest.mark.parametrize("kind", range(5), ids=["none", "sub", "up", "average", "paeth"])
def test_every_filter_is_undone(pixels, kind):
    data = png(filtered(pixels, [kind] * 10), 7, 10)
    np.testing.assert_array_equal(decode_png16(data), pixels)


def test_rows_with_different_filters_are_undone(pixels):
    data = png(filtered(pixels, [4, 3, 1, 0, 4, 2, 3, 3, 4, 1]), 7, 10)
    np.testing.assert_array_equal(decode_png16(data), pixels)


def test_pillow_sees_the_high_bytes_of_what_is_written(tmp_path, pixels):
    (tmp_path / "a.png").write_bytes(encode_png16(pixels))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels >> 8)


def test_opencv_agrees_both_ways(tmp_path, pixels):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    path = str(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(encode_png16(pixels))
    np.testing.assert_array_equal(cv2.imread(path, cv2.IMREAD_UNCHANGED)[..., ::-1], pixels)
    cv2.imwrite(path, np.ascontiguousarray(pixels[..., ::-1]))
    np.testing.assert_array_equal(decode_png16((tmp_path / "a.png").read_bytes()), pixels)


def test_every_truncation_is_named(pixels):
    data = encode_png16(pixels)
    for length in (0, 4, 8, 12, 20, 33, 40, len(data) - 20, len(data) - 12, len(data) - 1):
        with pytest.raises(ValueError, match=r"^flow\.png: .*Received: "):
            decode_png16(data[:length], "flow.png")


def test_a_changed_byte_is_found(pixels):
    data = bytearray(encode_png16(pixels))
    for position in (20, len(data) // 2):
        damaged = bytearray(data)
        damaged[position] ^= 1
        with pytest.raises(ValueError, match="wrong checksum"):
            decode_png16(bytes(damaged))


@pytest.mark.parametrize(
    ("data", "received"),
    [
        (b"some text", "Received: a file that starts with b'some tex'"),
        (png(b"\0" * 22, 7, 1, depth=8), "Received: 8-bit RGB"),
        (png(b"\0" * 15, 7, 1, color=0), "Received: 16-bit grey"),
        (png(b"\0" * 43, 7, 1, interlace=1), "not interlaced.*Received: interlace 1"),
        (png(b"\0" * 43, 0, 1), "Received: 0x1"),
        (png(b"\0" * 43, 2**30, 2**30), "Received: 1073741824x1073741824"),
        (png(b"\0" * 42, 7, 1), "expected 43 bytes.*Received: 42"),
        (png(b"\0" * 44, 7, 1), "expected 43 bytes.*Received: more"),
        (png(b"\5" * 43, 7, 1), "filters are 0 to 4. Received: 5"),
        (SIGNATURE + encode_png16(np.zeros((1, 1, 3), np.uint16))[-12:], "no proper header"),
    ],
)
def test_other_files_are_refused(data, received):
    with pytest.raises(ValueError, match=received):
        decode_png16(data)


def test_damaged_compression_is_named(pixels):
    data = bytearray(encode_png16(pixels))
    start = data.index(b"IDAT")
    length = struct.unpack(">I", data[start - 4 : start])[0]
    data[start + 4] ^= 0xFF
    body = bytes(data[start : start + 4 + length])
    data[start + 4 + length : start + 8 + length] = struct.pack(">I", zlib.crc32(body))
    with pytest.raises(ValueError, match=r"^flow\.png: the pixels are damaged"):
        decode_png16(bytes(data), "flow.png")


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint16), np.zeros((0, 2, 3), np.uint16)],
)
def test_only_16_bit_rgb_is_encoded(array):
    with pytest.raises(ValueError, match="Received: "):
        encode_png16(array)
