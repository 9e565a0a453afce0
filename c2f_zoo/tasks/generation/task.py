"""The image level of a generative model: pictures, films and sheets from a seed."""

import keras
import numpy as np
from keras import ops

from c2f_zoo import backend
from c2f_zoo.data import image_grid
from c2f_zoo.tasks.generation.latent_walk import LatentWalk
from c2f_zoo.tasks.generation.seeds import seeded_generator, whole_number

# What a random number is for: keeps the draws of one purpose apart from those of another.
_OTHER, _CUTOFF, _NOISE, _LABEL = 1, 2, 3, 4  # 5: latent_walk.py, 6: projection.py

# Layers of w that hold the coarse, middle and fine styles, by the size of their maps.
_STYLE_SIZES = {"coarse": (0, 8), "middle": (16, 32), "fine": (64, 1 << 30)}


class GenerationTask(LatentWalk):
    """Mixin of an `AdversarialModel` that gives it its image level.

    Pictures are made by the averaged generator at its current stage. All that is random comes from
    numpy's generator, so that a seed gives the same pictures on every backend; picture `i` of a
    seed does not depend on how many are asked for. What a generator offers follows from what it
    has: `mapping` and `synthesis` bring truncation and style mixing.
    """

    def generate(
        self,
        n=1,
        seed=None,
        truncation=1.0,
        style_mixing=0.0,
        *,
        latents=None,
        labels=None,
        batch_size=16,
        progress=False,
    ):
        """Make pictures.

        Args:
            n: Number of pictures.
            seed: Whole number of at least 0; None for new pictures at every call.
            truncation: Factor psi by which styles are pulled towards their average: 1 for the
                full variety, 0.7 or 0.5 for fewer but better pictures, 0 for the average. Style
                based networks alone.
            style_mixing: Probability that a picture takes its finer layers' styles from other
                latents. Style based networks alone.
            latents: Array (n, latent_size) to use instead of drawn ones; `n` is then its length.
            labels: Class index, or n of them, or array (n, label_size), of a labelled network;
                drawn by default.
            batch_size: Pictures computed at once.
            progress: Whether to show a bar.

        Returns:
            numpy float32 (n, H, W, C), RGB in [0, 1].

        Raises:
            ValueError: A number is out of range; latents or labels are of another shape; the
                network has no styles or no labels.

        Example:
            >>> from c2f_zoo.models import StyleGAN2
            >>> model = StyleGAN2(8, latent_size=4, w_size=4, num_filters=(8, 4))
            >>> model.generate(3, seed=0, truncation=0.7).shape
            (3, 8, 8, 3)
        """
        batch_size = whole_number("batch_size", batch_size, 1)
        if latents is None:
            latents = self.sample_latents(n, seed)
        latents = self._checked_latents(latents)
        count = len(latents)
        if not 0 <= style_mixing <= 1:
            raise ValueError(f"style_mixing is a probability. Received: {style_mixing}")
        labels = self._checked_labels(labels, count, seed)
        if not self.has_styles:
            if truncation != 1 or style_mixing:
                raise ValueError(
                    f"{type(self).__name__} has no styles to truncate or mix. "
                    f"Received: truncation={truncation}, style_mixing={style_mixing}"
                )
            inputs = latents if labels is None else (latents, labels)
            return self._in_batches(inputs, count, batch_size, progress)
        w = self.styles(latents, truncation)
        if style_mixing:
            w = self._mixed(w, seed, truncation, style_mixing)
        return self.synthesize(w, seed, batch_size, progress)

    def sample_latents(self, n, seed=None):
        """Draw latents from numpy's generator.

        Args:
            n: How many.
            seed: Whole number of at least 0, or None.

        Returns:
            float32 array (n, latent_size), standard normal.

        Raises:
            ValueError: `n` or `seed` is out of range.
        """
        n = whole_number("n, the number of pictures,", n, 1)
        draw = np.random.default_rng(None if seed is None else whole_number("seed", seed, 0))
        return draw.standard_normal((n, self.latent_size)).astype("float32")

    def styles(self, latents, truncation=1.0, cutoff="paper"):
        """Map latents to styles.

        Args:
            latents: Array (N, latent_size).
            truncation: Factor psi, see `generate`.
            cutoff: Layers before it are truncated; None for all; by default 8 for StyleGAN and
                all for StyleGAN2, as in their released codes.

        Returns:
            float32 array (N, layers, w_size).

        Raises:
            ValueError: The network has no styles, or the latents are of another shape.
        """
        self._check_styled("latents")
        generator = self.ema_generator
        cutoff = getattr(self, "truncation_cutoff", None) if cutoff == "paper" else cutoff
        if not np.isfinite(truncation):
            raise ValueError(f"truncation is a number. Received: {truncation}")
        w = generator.mapping(self._checked_latents(latents))
        return backend.to_numpy(generator.truncate(w, float(truncation), cutoff))

    def synthesize(self, w, seed=None, batch_size=16, progress=False, noise=None):
        """Make pictures from styles.

        Args:
            w: Array (N, layers, w_size), or (N, w_size) for one style in all layers.
            seed: Seed of the noise maps, the same for all pictures; None draws new ones.
            batch_size: Pictures computed at once.
            progress: Whether to show a bar.
            noise: List of maps (1, h, w, 1) to use instead of drawn ones, coarse to fine. A
                picture that was projected follows from its style and its own noise together.

        Returns:
            numpy float32 (N, H, W, C), RGB in [0, 1].

        Example:
            The picture of a file that `c2f generate --project` has written:

            ```python
            with np.load("c2f_generate/projected.npz") as file:
                noise = [file[f"noise_{index}"] for index in range(len(file.files) - 1)]
                pictures = model.synthesize(file["w"], noise=noise)
            ```
        """
        self._check_styled("w")
        if noise is None:
            draw = seeded_generator(seed, _NOISE)
            noise = [
                draw.standard_normal((1, height, width, 1)).astype("float32")
                for height, width in self.ema_generator.noise_shapes
            ]
        w = np.asarray(w, "float32")
        return self._in_batches({"w": w}, len(w), batch_size, progress, noise=noise)

    def call(self, inputs):
        """Make pictures with the averaged generator; what `predict` runs.

        Args:
            inputs: Latents (B, latent_size), or (latents, labels); or a dict of styles "w"
                (B, layers, w_size) and "noise", a list of maps (1, h, w, 1).

        Returns:
            Tensor (B, H, W, C) in [0, 1], or a list of them, one per scale.
        """
        if not isinstance(inputs, dict):
            return super().call(inputs)
        images = self.ema_generator.synthesis(inputs["w"], inputs["noise"])
        return keras.tree.map_structure(lambda x: ops.clip((x + 1.0) / 2.0, 0.0, 1.0), images)

    def truncation_sheet(
        self, n=6, truncations=(1.0, 0.7, 0.5, 0.0, -0.5, -1.0), seed=0, batch_size=16
    ):
        """Show what truncation does: a row for each picture, a column for each factor.

        Args:
            n: Number of rows.
            truncations: Factors psi, left to right.
            seed: As for `generate`.
            batch_size: Pictures computed at once.

        Returns:
            float32 array (n * H, len(truncations) * W, C) in [0, 1].

        Source: StyleGAN (arXiv 1812.04948), figure 8.

        Example:
            >>> from c2f_zoo.models import StyleGAN2
            >>> model = StyleGAN2(8, latent_size=4, w_size=4, num_filters=(8, 4))
            >>> model.truncation_sheet(2, (1.0, 0.5, 0.0)).shape
            (16, 24, 3)
        """
        latents = self.sample_latents(n, seed)
        columns = [
            self.synthesize(self.styles(latents, psi, cutoff=None), seed, batch_size)
            for psi in truncations
        ]
        return image_grid(
            [picture for row in zip(*columns, strict=True) for picture in row], len(columns)
        )

    def style_mixing_sheet(
        self, rows=4, columns=6, layers="coarse", truncation=1.0, seed=0, batch_size=16
    ):
        """Show what the styles of some layers hold.

        The top row are pictures A, the left column pictures B; in between stands A with some of
        its layers' styles taken from B.

        Args:
            rows: Number of pictures B.
            columns: Number of pictures A.
            layers: Taken from B: `"coarse"` (4x4 and 8x8), `"middle"` (16x16 and 32x32),
                `"fine"` (from 64x64 on), or a pair (first, end) of layers.
            truncation: As for `generate`.
            seed: As for `generate`.
            batch_size: Pictures computed at once.

        Returns:
            float32 array ((rows + 1) * H, (columns + 1) * W, C) in [0, 1].

        Raises:
            ValueError: There are no such layers.

        Source: StyleGAN (arXiv 1812.04948), figure 3.
        """
        first, end = self._layer_range(layers)
        w = self.styles(self.sample_latents(rows + columns, seed), truncation)
        tops, sides = w[rows:], w[:rows]
        mixed = np.repeat(tops[None], rows, axis=0)
        mixed[:, :, first:end] = sides[:, None, first:end]
        cells = self.synthesize(mixed.reshape(-1, *w.shape[1:]), seed, batch_size)
        edges = self.synthesize(w, seed, batch_size)
        pictures = [np.ones_like(edges[0]), *edges[rows:]]
        for row in range(rows):
            pictures += [edges[row], *cells[row * columns : (row + 1) * columns]]
        return image_grid(pictures, columns + 1)

    def style_groups(self):
        """Name the groups of layers that the network has, for `style_mixing_sheet`.

        Returns:
            Dict from "coarse", "middle" and "fine", as far as there are such, to the pair
            (first, end) of layers.

        Raises:
            ValueError: The network has no styles.
        """
        self._check_styled("no layers")
        sizes = [max(size) for size in self.ema_generator.noise_shapes]
        # StyleGAN2 has one convolution at the base, and so one layer of w more than noise maps.
        total = self.ema_generator.current_layers
        sizes = [sizes[0]] * (total - len(sizes)) + sizes
        groups = {}
        for name, (low, high) in _STYLE_SIZES.items():
            chosen = [index for index, size in enumerate(sizes) if low <= size <= high]
            if chosen:
                groups[name] = (chosen[0], chosen[-1] + 1)
        return groups

    def _check_styled(self, what):
        if not self.has_styles:
            raise ValueError(f"{type(self).__name__} has no styles. Received: {what}")

    def _layer_range(self, layers):
        self._check_styled(f"layers={layers!r}")
        total, groups = self.ema_generator.current_layers, self.style_groups()
        pair = groups.get(layers, ()) if isinstance(layers, str) else tuple(layers)
        if len(pair) != 2 or not 0 <= pair[0] < pair[1] <= total:
            raise ValueError(
                f"layers is one of {', '.join(groups)}, or a pair "
                f"(first, end) with 0 <= first < end <= {total}. Received: {layers!r}"
            )
        return pair

    def _mixed(self, w, seed, truncation, probability):
        count, layers = len(w), self.ema_generator.current_layers
        draw = seeded_generator(seed, _OTHER)
        other = draw.standard_normal((count, self.latent_size)).astype("float32")
        other = self.styles(other, truncation)
        chance, place = seeded_generator(seed, _CUTOFF).random((count, 2)).T
        cutoff = 1 + (place * (layers - 1)).astype(int)
        cutoff = np.where(chance < probability, cutoff, w.shape[1])
        return np.where(np.arange(w.shape[1])[None, :, None] < cutoff[:, None, None], w, other)

    def _in_batches(self, inputs, count, batch_size, progress, noise=None):
        from tqdm import tqdm

        pictures = []
        with tqdm(total=count, unit="picture", disable=not progress) as bar:
            for start in range(0, count, batch_size):
                part = keras.tree.map_structure(lambda x: x[start : start + batch_size], inputs)  # noqa: B023
                if noise is not None:
                    part = {**part, "noise": noise}
                made = self.predict_on_batch(part)
                made = made[-1] if isinstance(made, (list, tuple)) else made
                pictures.append(backend.to_numpy(made).astype("float32"))
                bar.update(len(pictures[-1]))
        return np.concatenate(pictures)

    def _checked_latents(self, latents):
        latents = np.asarray(latents, "float32")
        if latents.ndim != 2 or latents.shape[1] != self.latent_size or not len(latents):
            raise ValueError(
                f"Latents are an array (n, {self.latent_size}). Received: shape {latents.shape}"
            )
        if not np.isfinite(latents).all():
            raise ValueError("Latents are finite. Received: NaN or infinity")
        return latents

    def _checked_labels(self, labels, count, seed):
        size = getattr(self.generator, "label_size", 0)
        if not size:
            if labels is not None:
                raise ValueError(
                    f"{type(self).__name__} was made without labels. Received: labels={labels!r}"
                )
            return None
        if labels is None:
            labels = seeded_generator(seed, _LABEL).integers(size, size=count)
        labels = np.asarray(labels)
        if labels.ndim == 0:
            labels = np.full(count, labels)
        if labels.ndim == 1 and labels.dtype.kind in "iu" and len(labels) == count:
            if labels.min() < 0 or labels.max() >= size:
                raise ValueError(f"Labels are from 0 to {size - 1}. Received: {labels.tolist()}")
            return np.eye(size, dtype="float32")[labels]
        if labels.shape != (count, size):
            raise ValueError(
                f"labels is a class, {count} of them, or an array ({count}, {size}). "
                f"Received: shape {labels.shape} of {labels.dtype}"
            )
        return labels.astype("float32")
