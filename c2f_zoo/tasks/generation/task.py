"""The image level of a generative model: images, films and sheets from a seed."""

import sys

import keras
import numpy as np

from c2f_zoo import backend, checks
from c2f_zoo.tasks.generation.latent_walk import film, interpolation
from c2f_zoo.tasks.generation.seeds import CUTOFF, LABEL, NOISE, OTHER_LATENTS, seeded_generator
from c2f_zoo.tasks.generation.sheets import style_groups, style_mixing_sheet, truncation_sheet
from c2f_zoo.tasks.outputs import as_output, check_output
from c2f_zoo.tasks.quantization import refuse_quantization


def generate(
    model,
    n=1,
    seed=None,
    truncation=1.0,
    style_mixing=0.0,
    *,
    latents=None,
    labels=None,
    batch_size=16,
    progress=None,
    output="numpy",
):
    """Make images with the averaged generator at its current stage.

    A seed gives the same images on every backend, and image `i` of a seed does not depend on how
    many are asked for.

    Args:
        model: `AdversarialModel`.
        n: Number of images.
        seed: Integer of at least 0; None for new images at every call.
        truncation: Factor psi by which styles are pulled towards their average: 1 for the full
            variety, 0.7 or 0.5 for fewer but better images, 0 for the average. Style-based
            networks only.
        style_mixing: Probability that an image takes its finer layers' styles from other
            latents. Style-based networks only.
        latents: Array (n, latent_size) to use instead of drawn ones; `n` is then its length.
        labels: Class index, or n of them, or array (n, label_size), for a network with labels;
            drawn by default.
        batch_size: Images computed at once.
        progress: Whether to show a progress bar. By default for several batches, where standard
            error is a terminal.
        output: `"numpy"`, or `"pil"` for a list of PIL images.

    Returns:
        numpy float32 (n, H, W, C), RGB in [0, 1]; or a list of n PIL images.

    Raises:
        ValueError: If a number is out of range, latents or labels have another shape, or the
            network has no styles or no labels.

    Example:
        >>> from c2f_zoo.models import StyleGAN2
        >>> model = StyleGAN2(8, latent_size=4, w_size=4, num_filters=(8, 4))
        >>> model.generate(3, seed=0, truncation=0.7).shape
        (3, 8, 8, 3)
    """
    check_output(output)
    batch_size = checks.whole("batch_size", batch_size, least=1)
    latents = sample_latents(model, n, seed) if latents is None else latents
    latents = _checked_latents(model, latents)
    checks.number("style_mixing", style_mixing, least=0, most=1)
    labels = _checked_labels(model, labels, len(latents), seed)
    if not model.has_styles:
        if truncation != 1 or style_mixing:
            raise ValueError(
                f"{type(model).__name__} has no styles to truncate or mix. "
                f"Received: truncation={truncation}, style_mixing={style_mixing}"
            )
        inputs = latents if labels is None else (latents, labels)
        return _in_batches(model, inputs, len(latents), batch_size, progress, output)
    w = styles(model, latents, truncation)
    if style_mixing:
        w = _mixed(model, w, seed, truncation, style_mixing)
    return synthesize(model, w, seed, batch_size, progress, output=output)


def sample_latents(model, n, seed=None):
    """Draw latents from numpy's generator.

    Args:
        model: `AdversarialModel`.
        n: Number of latents.
        seed: Integer of at least 0, or None.

    Returns:
        float32 array (n, latent_size), standard normal.

    Raises:
        ValueError: If `n` or `seed` is out of range.
    """
    n = checks.whole("n, the number of images,", n, least=1)
    return seeded_generator(seed).standard_normal((n, model.latent_size)).astype("float32")


def styles(model, latents, truncation=1.0, cutoff="paper"):
    """Map latents to styles.

    Args:
        model: `AdversarialModel` with a style-based generator.
        latents: Array (N, latent_size).
        truncation: Factor psi, see `generate`.
        cutoff: Layers before it are truncated; None for all; by default 8 for StyleGAN and all
            for StyleGAN2, as in their released code.

    Returns:
        float32 array (N, layers, w_size).

    Raises:
        ValueError: If the network has no styles, or the latents have another shape.
    """
    check_styled(model, "latents")
    truncation = checks.number("truncation", truncation)
    cutoff = getattr(model, "truncation_cutoff", None) if cutoff == "paper" else cutoff
    generator = model.ema_generator
    w = generator.mapping(_checked_latents(model, latents))
    return backend.to_numpy(generator.truncate(w, truncation, cutoff))


def synthesize(model, w, seed=None, batch_size=16, progress=None, noise=None, output="numpy"):
    """Make images from styles.

    Args:
        model: `AdversarialModel` with a style-based generator.
        w: Array (N, layers, w_size), or (N, w_size) for one style in all layers.
        seed: Seed of the noise maps, the same for all images; None draws new ones.
        batch_size: Images computed at once.
        progress: As for `generate`.
        noise: List of maps (1, h, w, 1) to use instead of drawn ones, coarse to fine. A projected
            image needs both its style and its own noise.
        output: As for `generate`.

    Returns:
        numpy float32 (N, H, W, C), RGB in [0, 1]; or a list of N PIL images.

    Example:
        The image of a file that `c2f generate --project` has written:

        ```python
        with np.load("c2f_generate/projected.npz") as file:
            noise = [file[f"noise_{index}"] for index in range(len(file.files) - 1)]
            images = model.synthesize(file["w"], noise=noise)
        ```
    """
    check_output(output)
    check_styled(model, "w")
    if noise is None:
        draw = seeded_generator(seed, NOISE)
        noise = [
            draw.standard_normal((1, height, width, 1)).astype("float32")
            for height, width in model.ema_generator.noise_shapes
        ]
    w = np.asarray(w, "float32")
    return _in_batches(model, {"w": w}, len(w), batch_size, progress, output, noise)


class GenerationTask:
    """Gives an `AdversarialModel` its image level: the functions of this folder as methods.

    What a generator offers follows from what it has: `mapping` and `synthesis` bring truncation
    and style mixing.
    """

    generate = generate
    quantize = refuse_quantization
    sample_latents = sample_latents
    styles = styles
    synthesize = synthesize
    interpolation = interpolation
    film = film
    truncation_sheet = truncation_sheet
    style_mixing_sheet = style_mixing_sheet
    style_groups = style_groups


def check_styled(model, received):
    """Refuse a model without styles."""
    if not model.has_styles:
        raise ValueError(f"{type(model).__name__} has no styles. Received: {received}")


def _mixed(model, w, seed, truncation, probability):
    count, layers = len(w), model.ema_generator.current_layers
    draw = seeded_generator(seed, OTHER_LATENTS)
    other = draw.standard_normal((count, model.latent_size)).astype("float32")
    other = styles(model, other, truncation)
    chance, place = seeded_generator(seed, CUTOFF).random((count, 2)).T
    cutoff = 1 + (place * (layers - 1)).astype(int)
    cutoff = np.where(chance < probability, cutoff, w.shape[1])
    return np.where(np.arange(w.shape[1])[None, :, None] < cutoff[:, None, None], w, other)


def _in_batches(model, inputs, count, batch_size, progress, output, noise=None):
    from tqdm import tqdm

    images = []
    if progress is None:
        progress = count > batch_size and sys.stderr.isatty()
    with tqdm(total=count, unit="image", disable=not progress) as bar:
        for start in range(0, count, batch_size):
            part = keras.tree.map_structure(lambda x: x[start : start + batch_size], inputs)  # noqa: B023
            if noise is not None:
                part = {**part, "noise": noise}
            made = backend.predict_on_batch(model, part)
            made = made[-1] if isinstance(made, (list, tuple)) else made
            images.append(backend.to_numpy(made).astype("float32"))
            bar.update(len(images[-1]))
    images = np.concatenate(images)
    if output == "numpy":
        return images
    return [as_output(image, output) for image in images]


def _checked_latents(model, latents):
    latents = np.asarray(latents, "float32")
    size = model.latent_size
    checks.shape("latents", latents, f"(n, {size})", (checks.SOME, size))
    if not np.isfinite(latents).all():
        raise ValueError("latents must be finite. Received: NaN or infinity")
    return latents


def _checked_labels(model, labels, count, seed):
    size = model.label_size
    if not size and labels is not None:
        raise ValueError(
            f"{type(model).__name__} was made without labels. Received: labels={labels!r}"
        )
    if not size:
        return None
    if labels is None:
        labels = seeded_generator(seed, LABEL).integers(size, size=count)
    labels = np.asarray(labels)
    if labels.ndim == 0:
        labels = np.full(count, labels)
    if labels.ndim == 1 and labels.dtype.kind in "iu" and len(labels) == count:
        if labels.min() < 0 or labels.max() >= size:
            raise ValueError(f"labels must be from 0 to {size - 1}. Received: {labels.tolist()}")
        return np.eye(size, dtype="float32")[labels]
    if labels.shape != (count, size):
        raise ValueError(
            f"labels must be a class, {count} of them, or an array ({count}, {size}). "
            f"Received: shape {labels.shape} of {labels.dtype}"
        )
    return labels.astype("float32")
