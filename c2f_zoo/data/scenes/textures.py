"""The atlas: square textures from photographs of any folder, or painted by the computer.

Textures are kept as one flat array of integers, a pixel each (red + green * 256 + blue * 65536),
because fetching one integer costs a third of fetching three bytes.
"""

import pathlib
import warnings

import numpy as np

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".gif"}


def pack_colors(pixels: np.ndarray) -> np.ndarray:
    """Pack RGB bytes (..., 3) into int32 integers (...)."""
    wide = pixels.astype("int32")
    return wide[..., 0] | (wide[..., 1] << 8) | (wide[..., 2] << 16)


def load_textures(textures, side=512, crops=3, limit=240, progress=True) -> np.ndarray:
    """Turn what a user gives as textures into an atlas (N, h, w, 3), uint8.

    Args:
        textures: None for `procedural_textures`; a folder, searched recursively for photographs;
            or a uint8 array (N, h, w, 3).
        side: Height and width of a texture cut from a photograph, pixels.
        crops: Textures cut from each photograph, at different scales.
        limit: Most textures kept: of many photographs fewer crops, or not all, are taken.
        progress: Show a progress bar when a folder holds more than 20 photographs.
    """
    if textures is None:
        return procedural_textures(side=side)
    if isinstance(textures, np.ndarray):
        good = textures.ndim == 4 and textures.shape[-1] == 3 and min(textures.shape) > 0
        if not good or textures.dtype != np.uint8 or min(textures.shape[1:3]) < 2:
            raise ValueError(
                "textures: an array must be uint8 of shape (N, h, w, 3), h and w at least 2. "
                f"Received: {textures.dtype} of shape {textures.shape}"
            )
        return textures
    if not isinstance(textures, (str, pathlib.Path)):
        raise ValueError(
            "textures must be None, a folder or a uint8 array (N, h, w, 3). "
            f"Received: {type(textures).__name__}"
        )
    return _textures_of_folder(pathlib.Path(textures), side, crops, limit, progress)


def _textures_of_folder(folder, side, crops, limit, progress):
    from PIL import Image
    from tqdm import tqdm

    if not folder.is_dir():
        raise FileNotFoundError(f"textures: expected a folder of photographs. Received: {folder}")
    found = (path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
    paths = sorted(path for path in found if path.is_file())
    if len(paths) > limit:
        paths = [paths[int(i)] for i in np.linspace(0, len(paths) - 1, limit)]
    crops = max(1, min(crops, limit // max(len(paths), 1)))
    random = np.random.default_rng(0)
    tiles = []
    hidden = not progress or len(paths) <= 20
    for path in tqdm(paths, desc="Textures", unit="photo", disable=hidden):
        try:
            with Image.open(path) as photo:
                photo.draft("RGB", (3 * side, 3 * side))
                photo = _opaque(photo)
                tiles.extend(_crops(photo, side, crops, random))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            warnings.warn(f"Skipped {path}, which is no readable photograph: {error}", stacklevel=4)
    if not tiles:
        raise ValueError(
            f"textures: no readable photograph ({', '.join(sorted(PHOTO_SUFFIXES))}) in the "
            f"folder or below it. Received: {folder} with {len(paths)} such files"
        )
    return np.stack(tiles)


def _opaque(photo):
    """An RGB copy; what is transparent becomes grey."""
    from PIL import Image

    if photo.mode in ("RGBA", "LA", "PA") or "transparency" in photo.info:
        photo = photo.convert("RGBA")
        ground = Image.new("RGBA", photo.size, (128, 128, 128, 255))
        photo = Image.alpha_composite(ground, photo)
    return photo.convert("RGB")


def _crops(photo, side, crops, random):
    """Squares of a photograph: its largest, shrunk, and smaller ones nearer its own scale."""
    from PIL import Image

    width, height = photo.size
    small = photo.convert("L").resize((96, 96), Image.Resampling.BILINEAR)
    slopes = np.hypot(*np.gradient(np.asarray(small, "float32")))
    for number in range(crops):
        extent = min(width, height) * 0.6**number
        if number:
            extent = min(width, height, max(extent, side * 0.75))
        # Of a few places the one with the most to see: flow cannot be learned from bare sky.
        places = random.uniform(0, 1, (4, 2)) * (width - extent, height - extent)
        scores = [_detail(slopes, place, extent, photo.size) for place in places]
        left, top = places[int(np.argmax(scores))]
        box = (left, top, left + extent, top + extent)
        yield np.asarray(photo.resize((side, side), Image.Resampling.LANCZOS, box=box))


def _detail(slopes, place, extent, size):
    """Mean slope within a square of a photograph, from its small picture of slopes."""
    first = np.floor(96 * place / size).astype(int)
    last = np.ceil(96 * (place + extent) / size).astype(int)
    return slopes[first[1] : last[1], first[0] : last[0]].mean()


def procedural_textures(count=48, side=512, seed=0) -> np.ndarray:
    """Paint textures (count, side, side, 3), uint8: noise, stripes, checks, shapes, clutter."""
    random = np.random.default_rng([seed, 7])
    painters = (_clouds, _clouds, _stripes, _checks, _clutter, _clutter)
    noise = [_octaves(random, side, fall) for fall in (0.5, 0.65, 0.8)]
    return np.stack(
        [_colored(random, painters[i % len(painters)](random, side, noise)) for i in range(count)]
    )


def _octaves(random, side, fall):
    """A pool of eight periodic fields (8, side, side) of noise of many scales, in [0, 1]."""
    from PIL import Image

    fields = np.zeros((8, side, side), "float32")
    cells, weight = 3, 1.0
    while cells < side:
        for field in fields:
            grid = np.pad(random.random((cells, cells), "float32"), 2, mode="wrap")
            box = (2, 2, cells + 2, cells + 2)
            grid = Image.fromarray(grid).resize((side, side), Image.Resampling.BICUBIC, box=box)
            field += weight * np.asarray(grid)
        cells, weight = cells * 2, weight * fall
    low, high = fields.min((1, 2), keepdims=True), fields.max((1, 2), keepdims=True)
    return (fields - low) / (high - low)


def _field(random, noise):
    field = noise[random.integers(len(noise))][random.integers(8)]
    field = np.roll(field, random.integers(0, field.shape[0], 2), (0, 1))
    return field.T if random.random() < 0.5 else field


def _clouds(random, side, noise):
    value = _field(random, noise)
    if random.random() < 0.4:  # veins, as of marble or bark
        value = np.abs(np.sin(random.uniform(6, 30) * value))
    return value, _field(random, noise)


def _grid_axis(random, side, noise):
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    turn = random.choice([0, np.pi / 2, random.uniform(0, np.pi)])
    bend = random.choice([0, 0, side / 16]) * _field(random, noise)
    period = np.exp(random.uniform(np.log(8), np.log(side / 5)))
    return ((x * np.cos(turn) + y * np.sin(turn) + bend) / period).astype("float32")


def _stripes(random, side, noise):
    phase = _grid_axis(random, side, noise) % 1
    edge = random.uniform(0.2, 0.8)
    stripes = np.clip((np.abs(phase - 0.5) * 2 - edge) * 12 + 0.5, 0, 1)
    return 0.7 * stripes + 0.3 * _field(random, noise), _field(random, noise)


def _checks(random, side, noise):
    a, b = _grid_axis(random, side, noise), _grid_axis(random, side, noise)
    cells = np.floor(a) * 7 + np.floor(b) * 13
    tone = (np.sin(cells * 12.9898) * 43758.547) % 1
    joint = np.minimum(np.minimum(a % 1, 1 - a % 1), np.minimum(b % 1, 1 - b % 1)) < 0.06
    tone = np.where(joint, random.random(), tone)
    return 0.75 * tone + 0.25 * _field(random, noise), _field(random, noise)


def _clutter(random, side, noise):
    """Shapes and strokes strewn over each other, as on posters, in foliage or in print."""
    from PIL import Image, ImageDraw

    picture = Image.new("L", (side, side), int(random.integers(256)))
    draw = ImageDraw.Draw(picture)
    scale = side * np.exp(random.uniform(np.log(0.015), np.log(0.12)))
    shapes = random.choice(["ellipse", "polygon", "line", "text"])
    for _ in range(int(min(500, 1.2 * (side / scale) ** 2))):
        x, y = random.uniform(0, side, 2)
        tone = int(random.integers(256))
        if shapes == "ellipse":
            width, height = scale * random.uniform(0.3, 1.3, 2)
            draw.ellipse((x - width, y - height, x + width, y + height), fill=tone)
        elif shapes == "polygon":
            corners = (np.array([x, y]) + scale * random.uniform(-1.3, 1.3, (3, 2))).ravel()
            draw.polygon(list(corners), fill=tone)
        elif shapes == "line":
            dx, dy = scale * random.uniform(-3, 3, 2)
            draw.line((x, y, x + dx, y + dy), fill=tone, width=int(1 + scale * random.random() / 4))
        else:
            word = "".join(chr(random.integers(48, 123)) for _ in range(random.integers(2, 9)))
            draw.text((x - scale, y), word, fill=tone, font_size=float(max(8, scale)))
    value = np.asarray(picture, "float32") / 255 * 0.85 + 0.15 * _field(random, noise)
    return value, _field(random, noise)


def _colored(random, fields):
    """Map two fields to a path between three random colours, (side, side, 3) uint8."""
    value, hue = fields
    dark, bright, accent = (random.uniform(*ends, 3) for ends in ((0, 110), (120, 255), (0, 255)))
    picture = dark + (bright - dark) * value[..., None]
    picture = picture + (accent - picture) * (0.6 * hue * random.random())[..., None]
    return np.clip(picture, 0, 255).astype("uint8")
