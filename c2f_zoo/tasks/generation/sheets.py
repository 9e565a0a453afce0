"""Sheets of images that show what truncation and the styles of some layers do."""

import numpy as np

from c2f_zoo.data import image_grid

# Layers of w that hold the coarse, middle and fine styles, by the size of their maps.
_STYLE_SIZES = {"coarse": (0, 8), "middle": (16, 32), "fine": (64, 1 << 30)}


def truncation_sheet(
    model, n=6, truncations=(1.0, 0.7, 0.5, 0.0, -0.5, -1.0), seed=0, batch_size=16
):
    """Show what truncation does: a row for each image, a column for each factor.

    Args:
        model: `AdversarialModel` with a style-based generator.
        n: Number of rows.
        truncations: Factors psi, left to right.
        seed: As for `generate`.
        batch_size: Images computed at once.

    Returns:
        float32 array (n * H, len(truncations) * W, C) in [0, 1].

    Source: StyleGAN (arXiv 1812.04948), figure 8.

    Example:
        >>> from c2f_zoo.models import StyleGAN2
        >>> model = StyleGAN2(8, latent_size=4, w_size=4, num_filters=(8, 4))
        >>> model.truncation_sheet(2, (1.0, 0.5, 0.0)).shape
        (16, 24, 3)
    """
    latents = model.sample_latents(n, seed)
    columns = [
        model.synthesize(model.styles(latents, psi, cutoff=None), seed, batch_size)
        for psi in truncations
    ]
    return image_grid([image for row in zip(*columns, strict=True) for image in row], len(columns))


def style_mixing_sheet(
    model, rows=4, columns=6, layers="coarse", truncation=1.0, seed=0, batch_size=16
):
    """Show what the styles of some layers hold.

    The top row are images A, the left column images B; each cell is A with the styles of some of
    its layers taken from B.

    Args:
        model: `AdversarialModel` with a style-based generator.
        rows: Number of images B.
        columns: Number of images A.
        layers: Taken from B: `"coarse"` (4x4 and 8x8), `"middle"` (16x16 and 32x32), `"fine"`
            (from 64x64 on), or a pair (first, end) of layers.
        truncation: As for `generate`.
        seed: As for `generate`.
        batch_size: Images computed at once.

    Returns:
        float32 array ((rows + 1) * H, (columns + 1) * W, C) in [0, 1].

    Raises:
        ValueError: If there are no such layers.

    Source: StyleGAN (arXiv 1812.04948), figure 3.
    """
    first, end = _layer_range(model, layers)
    w = model.styles(model.sample_latents(rows + columns, seed), truncation)
    tops, sides = w[rows:], w[:rows]
    mixed = np.repeat(tops[None], rows, axis=0)
    mixed[:, :, first:end] = sides[:, None, first:end]
    cells = model.synthesize(mixed.reshape(-1, *w.shape[1:]), seed, batch_size)
    edges = model.synthesize(w, seed, batch_size)
    images = [np.ones_like(edges[0]), *edges[rows:]]
    for row in range(rows):
        images += [edges[row], *cells[row * columns : (row + 1) * columns]]
    return image_grid(images, columns + 1)


def style_groups(model):
    """Name the groups of layers that the network has, for `style_mixing_sheet`.

    Args:
        model: `AdversarialModel` with a style-based generator.

    Returns:
        Dict from "coarse", "middle" and "fine", as far as there are such, to the pair
        (first, end) of layers.

    Raises:
        ValueError: If the network has no styles.
    """
    if not model.has_styles:
        raise ValueError(f"{type(model).__name__} has no styles. Received: no layers")
    sizes = [max(size) for size in model.ema_generator.noise_shapes]
    # StyleGAN2 has one convolution at the base, and so one layer of w more than noise maps.
    total = model.ema_generator.current_layers
    sizes = [sizes[0]] * (total - len(sizes)) + sizes
    groups = {}
    for name, (low, high) in _STYLE_SIZES.items():
        chosen = [index for index, size in enumerate(sizes) if low <= size <= high]
        if chosen:
            groups[name] = (chosen[0], chosen[-1] + 1)
    return groups


def _layer_range(model, layers):
    groups, total = style_groups(model), model.ema_generator.current_layers
    pair = groups.get(layers, ()) if isinstance(layers, str) else tuple(layers)
    if len(pair) != 2 or not 0 <= pair[0] < pair[1] <= total:
        raise ValueError(
            f"layers must be one of {', '.join(groups)}, or a pair (first, end) with "
            f"0 <= first < end <= {total}. Received: {layers!r}"
        )
    return pair
