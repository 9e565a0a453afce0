"""PNG images of 16 bits and three channels, which Pillow reduces to 8 bits.

The KITTI and HD1K flow maps are such files. Only this one kind of PNG is handled.

Source: W3C Recommendation "Portable Network Graphics (PNG) Specification", sections 5 (chunks),
7 (scanlines) and 9 (filters).
"""

import io
import struct
import zlib

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = ">IIBBBBB"  # width, height, bit depth, colour type, compression, filter, interlace
_RGB = 2
_FILTER_UP = 2
_COLOR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey and alpha", 6: "RGBA"}
_MOST_PIXELS = 2**27  # keeps a damaged header from asking for all memory


def encode_png16(pixels):
    """Encode an array as a PNG of 16-bit RGB.

    Args:
        pixels: uint16 array of shape (H, W, 3).

    Returns:
        The file as bytes.

    Raises:
        ValueError: If the dtype or shape is another one, or the image is empty.

    Example:
        >>> pixels = np.arange(12, dtype=np.uint16).reshape(2, 2, 3) * 5000
        >>> bool((decode_png16(encode_png16(pixels)) == pixels).all())
        True
    """
    if pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError(
            "pixels must be a non-empty uint16 array of shape (H, W, 3). "
            f"Received: {pixels.dtype}, shape {pixels.shape}"
        )
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels, ">u2").view(np.uint8).reshape(height, 6 * width)
    # Rows of a flow map resemble their neighbours: their difference compresses best.
    scanlines = np.full((height, 1 + 6 * width), _FILTER_UP, np.uint8)
    scanlines[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=scanlines[1:, 1:])
    return _container(width, height, 16, zlib.compress(scanlines, 6))


def decode_png16(data, name="PNG data"):
    """Decode a PNG of 16-bit RGB.

    Args:
        data: The file as bytes.
        name: What to call it in messages, usually its path.

    Returns:
        uint16 array of shape (H, W, 3).

    Raises:
        ValueError: Not a PNG, another kind of PNG (8 bits, grey, palette, interlaced), truncated
            or damaged; the message starts with `name`.

    Example:
        >>> decode_png16(encode_png16(np.full((1, 2, 3), 40000, np.uint16)))[0, 0].tolist()
        [40000, 40000, 40000]
    """
    header, compressed = _read_chunks(data, name)
    width, height = _checked_header(header, name)
    expected = height * (1 + 6 * width)
    try:
        scanlines = zlib.decompressobj().decompress(compressed, expected + 1)
    except zlib.error as error:
        raise ValueError(f"{name}: the pixels are damaged. Received: {error}") from error
    if len(scanlines) != expected:
        raise ValueError(
            f"{name}: expected {expected} bytes of pixels for {width}x{height}. "
            f"Received: {'more' if len(scanlines) > expected else len(scanlines)}"
        )
    scanlines = np.frombuffer(scanlines, np.uint8).reshape(height, 1 + 6 * width)
    filters = scanlines[:, :1]
    if filters.max() > 4:
        raise ValueError(f"{name}: row filters are 0 to 4. Received: {filters.max()}")
    # A filter predicts a byte from the bytes at the same place in three neighbouring pixels, so
    # the high bytes and the low bytes are each an 8-bit RGB image with these filters: Pillow
    # undoes them in C. (Average and Paeth run along the row and cannot be one numpy operation.)
    high = _undo_filters(filters, scanlines[:, 1::2], width, height)
    low = _undo_filters(filters, scanlines[:, 2::2], width, height)
    return high.astype(np.uint16) << 8 | low


def _undo_filters(filters, lane, width, height):
    from PIL import Image

    scanlines = np.concatenate([filters, lane], axis=1)
    data = _container(width, height, 8, zlib.compress(scanlines, 0))
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        return np.asarray(image)


def _container(width, height, depth, compressed):
    header = struct.pack(_HEADER, width, height, depth, _RGB, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", compressed) + _chunk(b"IEND", b"")
    return _SIGNATURE + chunks


def _chunk(kind, data):
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def _read_chunks(data, name):
    """Return the header chunk and the joined pixel chunks."""
    if data[:8] != _SIGNATURE:
        found = f"a file that starts with {data[:8]!r}" if data else "an empty file"
        raise ValueError(f"{name}: expected a 16-bit RGB PNG. Received: {found}")
    header, pixels, position = None, [], 8
    while True:
        length, kind = struct.unpack(">I4s", data[position : position + 8].ljust(8, b"\0"))
        end = position + 12 + length
        if end > len(data) or kind == b"\0\0\0\0":
            raise ValueError(
                f"{name}: the PNG is truncated; at least {max(end, position + 12)} bytes were "
                f"expected. Received: {len(data)} bytes"
            )
        body = data[position + 8 : position + 8 + length]
        if data[position + 8 + length : end] != struct.pack(">I", zlib.crc32(kind + body)):
            raise ValueError(f"{name}: the PNG is damaged. Received: a wrong checksum in {kind!r}")
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            pixels.append(body)
        elif kind == b"IEND":
            return header, b"".join(pixels)
        position = end


def _checked_header(header, name):
    if header is None or len(header) != struct.calcsize(_HEADER):
        raise ValueError(f"{name}: the PNG is damaged. Received: no proper header")
    width, height, depth, color, compression, filtering, interlace = struct.unpack(_HEADER, header)
    if (depth, color) != (16, _RGB):
        found = f"{depth}-bit {_COLOR_TYPES.get(color, f'colour type {color}')}"
        raise ValueError(f"{name}: expected a 16-bit RGB PNG. Received: {found}")
    if interlace or compression or filtering:
        raise ValueError(
            f"{name}: only PNGs that are not interlaced and of the standard compression can be "
            f"read. Received: interlace {interlace}, compression {compression}, filter {filtering}"
        )
    if not 0 < width * height <= _MOST_PIXELS:
        raise ValueError(f"{name}: expected 1 to {_MOST_PIXELS} pixels. Received: {width}x{height}")
    return width, height
