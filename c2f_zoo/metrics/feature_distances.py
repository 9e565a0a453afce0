"""Distances between the features of two sets of images: FID, KID, precision and recall."""

import numpy as np

from c2f_zoo import checks
from c2f_zoo.metrics.streaming import MEMORY_LIMIT, ImageSetMetric, Moments, RowStore, as_array

_FIGURES = ("fid", "kid", "precision_recall")
_BLOCK = 1 << 22  # distances held at once, 32 MiB


class FeatureDistances(ImageSetMetric):
    """FID, KID and improved precision and recall, from one pass through a feature network.

    FID needs only mean and covariance of the features; the others keep all features.

    Args:
        features: Function from a batch of images, uint8 array (B, H, W, 3), to an array or tensor
            (B, D) of their features. `c2f_zoo.models.InceptionV3Features.from_fid_package()` is
            the network of published figures.
        figures: Some of `"fid"`, `"kid"`, `"precision_recall"`.
        neighbours: k of precision and recall.
        subsets: Number of KID's random subsets.
        subset_size: Images in each subset, at most.
        seed: Integer seed of the subsets.
        memory_limit: Bytes per set beyond which features go to a temporary file.
        batch_size: Most images to pass to `features` at once.

    Raises:
        ValueError: If a figure is unknown, a number not positive, or the features have another
            shape or are not finite.

    Source: Heusel et al., arXiv 1706.08500; Binkowski et al., arXiv 1801.01401; Kynkaanniemi et
    al., arXiv 1904.06991.

    Example:
        >>> metric = FeatureDistances(lambda images: images.mean(axis=(1, 2)))
        >>> images = np.random.default_rng(0).random((32, 8, 8, 3))
        >>> metric.update_real(images)
        >>> metric.update_fake(images[::-1])
        >>> {name: round(value, 6) for name, value in metric.result().items()}
        {'fid': 0.0, 'kid': ..., 'kid_std': 0.0}
    """

    def __init__(
        self,
        features,
        figures=("fid", "kid"),
        neighbours=3,
        subsets=100,
        subset_size=1000,
        seed=0,
        memory_limit=MEMORY_LIMIT,
        batch_size=32,
    ):
        super().__init__()
        figures = (figures,) if isinstance(figures, str) else tuple(figures)
        if not figures or set(figures) - set(_FIGURES):
            raise ValueError(f"figures must be some of {', '.join(_FIGURES)}. Received: {figures}")
        self.features, self.figures = features, figures
        self.seed, self.memory_limit = seed, memory_limit
        self.neighbours = checks.whole("neighbours", neighbours, least=1)
        self.subsets = checks.whole("subsets", subsets, least=1)
        self.subset_size = checks.whole("subset_size", subset_size, least=2)
        self.batch_size = checks.whole("batch_size", batch_size, least=1)
        self._moments, self._stores = {}, {}

    def _reset(self, which):
        self._moments.pop(which, None)
        self._stores.pop(which, None)

    def _update(self, which, images):
        for first in range(0, len(images), self.batch_size):
            self._update_batch(which, images[first : first + self.batch_size])

    def _update_batch(self, which, images):
        features = as_array(self.features(images)).astype(np.float32)
        if features.ndim != 2 or len(features) != len(images):
            raise ValueError(
                f"features must return the shape (B, D) for {len(images)} images. "
                f"Received: shape {features.shape}"
            )
        if not np.isfinite(features).all():
            raise ValueError("features must return finite numbers. Received: NaN or infinity")
        columns = features.shape[1]
        if "fid" in self.figures:
            self._moments.setdefault(which, Moments(columns)).update(features)
        if set(self.figures) - {"fid"}:
            store = self._stores.setdefault(which, RowStore(columns, self.memory_limit))
            store.append(features)

    def result(self, progress=False):
        """Compute the figures.

        Args:
            progress: Show a progress bar of precision and recall, which take minutes for 50,000
                images. Default False.

        Returns:
            Dictionary: `fid`; `kid` and `kid_std`, mean and deviation over subsets; `precision`
            and `recall`, 0 to 1.

        Raises:
            ValueError: If a set has fewer than two images, or fewer than k + 1 for precision and
                recall.
        """
        if min(self._counts.values()) < 2:
            raise ValueError(
                "There must be at least two real and two generated images. "
                f"Received: {self._counts['real']} real, {self._counts['fake']} generated"
            )
        figures = {}
        if "fid" in self.figures:
            real, fake = self._moments["real"], self._moments["fake"]
            moments = (real.mean, real.covariance, fake.mean, fake.covariance)
            figures["fid"] = frechet_distance(*moments)
        sets = [self._stores[which].rows() for which in ("real", "fake") if which in self._stores]
        if "kid" in self.figures:
            options = (self.subsets, self.subset_size, self.seed)
            figures["kid"], figures["kid_std"] = kernel_distance(*sets, *options)
        if "precision_recall" in self.figures:
            options = (self.neighbours, progress)
            figures["precision"], figures["recall"] = precision_recall(*sets, *options)
        return figures


def frechet_distance(mean1, covariance1, mean2, covariance2):
    """Frechet distance of two Gaussians: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    The trace of the root is computed as that of the symmetric (S C2 S)^(1/2), S = C1^(1/2), which
    has the eigenvalues of C1 C2 and, unlike its root, cannot become complex by rounding.

    Args:
        mean1, mean2: Arrays (D,).
        covariance1, covariance2: Arrays (D, D), symmetric.

    Returns:
        float.

    Raises:
        ValueError: If the shapes do not fit.

    Source: Dowson and Landau, The Frechet distance between multivariate normal distributions,
    1982; Heusel et al., arXiv 1706.08500.

    Example:
        >>> round(frechet_distance(np.zeros(2), np.eye(2), np.ones(2), 4 * np.eye(2)), 6)
        4.0
    """
    arrays = [np.asarray(a, np.float64) for a in (mean1, covariance1, mean2, covariance2)]
    mean1, covariance1, mean2, covariance2 = arrays
    size = mean1.shape[:1]
    if [array.shape for array in arrays] != [size, size * 2] * 2:
        raise ValueError(
            "Means must have the shape (D,) and covariances (D, D). "
            f"Received: shapes {', '.join(str(array.shape) for array in arrays)}"
        )
    values, vectors = np.linalg.eigh(covariance1)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ covariance2 @ root)
    trace = np.trace(covariance1) + np.trace(covariance2)
    trace -= 2 * np.sqrt(np.maximum(product, 0)).sum()
    # Rounding can bring equal sets slightly below zero.
    return max(float(np.sum((mean1 - mean2) ** 2) + trace), 0.0)


def kernel_distance(real, fake, subsets=100, subset_size=1000, seed=0):
    """KID: the unbiased squared maximum mean discrepancy, averaged over random subsets.

    The kernel is (x . y / D + 1)^3. Being unbiased it can be negative for equal distributions.

    Args:
        real, fake: Features, arrays (N, D) and (M, D).
        subsets: Number of subsets.
        subset_size: Rows in each, drawn without replacement; at most N and M.
        seed: Integer seed of the subsets.

    Returns:
        (mean, standard deviation) over the subsets, two floats.

    Raises:
        ValueError: If there are fewer than two rows or one subset, or D differs.

    Source: Binkowski et al., Demystifying MMD GANs, arXiv 1801.01401, sections 3 and 4.

    Example:
        >>> features = np.random.default_rng(0).normal(size=(200, 4))
        >>> near, far = (kernel_distance(features[:100], features[100:] + s) for s in (0, 1))
        >>> near[0] < far[0]
        True
    """
    _check_features(real, fake)
    subsets = checks.whole("subsets", subsets, least=1)
    size = min(checks.whole("subset_size", subset_size, least=2), len(real), len(fake))
    if size < 2:
        raise ValueError(
            f"real and fake must have at least 2 rows. Received: {len(real)} and {len(fake)} rows"
        )
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(subsets):
        x, y = (
            # Sorted, because a file is read faster in order.
            np.asarray(rows[np.sort(rng.choice(len(rows), size, replace=False))], np.float64)
            for rows in (real, fake)
        )
        xx, yy, xy = _polynomial(x, x), _polynomial(y, y), _polynomial(x, y)
        within = xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)
        found.append(within / (size * (size - 1)) - 2 * xy.mean())
    return float(np.mean(found)), float(np.std(found))


def precision_recall(real, fake, neighbours=3, progress=False):
    """Improved precision and recall.

    A set's manifold is the union of balls around its rows that reach the row's k-th nearest
    neighbour in the set. Precision is the share of generated rows inside the real manifold
    (quality), recall that of real rows inside the generated one (variation).

    Args:
        real, fake: Features, arrays (N, D) and (M, D).
        neighbours: k. Default 3.
        progress: Show a progress bar. Default False.

    Returns:
        (precision, recall), two floats from 0 to 1.

    Raises:
        ValueError: If a set does not have more rows than `neighbours`, or D differs.

    Source: Kynkaanniemi et al., Improved Precision and Recall Metric, arXiv 1904.06991,
    equations 1 and 2.

    Example:
        >>> line = np.arange(8.0)[:, None]
        >>> precision_recall(line, line[:4] + 0.1, neighbours=1)
        (1.0, 0.625)
    """
    _check_features(real, fake)
    if not 1 <= neighbours < min(len(real), len(fake)):
        raise ValueError(
            "neighbours must be at least 1 and less than the number of rows of each set. "
            f"Received: {len(real)} and {len(fake)} rows, neighbours={neighbours}"
        )
    from tqdm import tqdm

    # Distances do not depend on the origin; one near the rows loses fewer digits.
    centre = np.mean(real, axis=0, dtype=np.float64)
    total = 2 * (len(real) + len(fake))
    with tqdm(total=total, desc="precision and recall", disable=not progress) as bar:
        real_radii = _radii(real, centre, neighbours, bar)
        precision = _share_inside(fake, real, real_radii, centre, bar)
        fake_radii = _radii(fake, centre, neighbours, bar)
        return precision, _share_inside(real, fake, fake_radii, centre, bar)


def _radii(rows, centre, neighbours, bar):
    """Squared distance of each row to its k-th nearest other row."""
    radii = []
    for first, some in _blocks(rows, centre):
        nearest = np.full((len(some), neighbours + 1), np.inf)
        for second, others in _blocks(rows, centre):
            distances = _squared_distances(some, others)
            if first == second:
                np.fill_diagonal(distances, 0)  # exactly, despite rounding
            both = np.concatenate([nearest, distances], axis=1)
            nearest = np.partition(both, neighbours, axis=1)[:, : neighbours + 1]
        radii.append(nearest.max(axis=1))
        bar.update(len(some))
    return np.concatenate(radii)


def _share_inside(rows, centres, radii, centre, bar):
    inside = 0
    for _, some in _blocks(rows, centre):
        hit = np.zeros(len(some), bool)
        for second, of_centres in _blocks(centres, centre):
            limit = radii[second : second + len(of_centres)]
            hit |= (_squared_distances(some, of_centres) <= limit).any(axis=1)
        inside += int(hit.sum())
        bar.update(len(some))
    return inside / len(rows)


def _blocks(rows, centre):
    step = max(1, int(_BLOCK**0.5))
    for first in range(0, len(rows), step):
        yield first, np.asarray(rows[first : first + step], np.float64) - centre


def _squared_distances(x, y):
    squares = np.einsum("ij,ij->i", x, x)[:, None] + np.einsum("ij,ij->i", y, y)
    return np.maximum(squares - 2 * (x @ y.T), 0)


def _polynomial(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


def _check_features(real, fake):
    shapes = np.shape(real), np.shape(fake)
    if any(len(shape) != 2 for shape in shapes) or shapes[0][1] != shapes[1][1]:
        raise ValueError(
            f"real and fake must have the shapes (N, D) and (M, D). "
            f"Received: shapes {shapes[0]} and {shapes[1]}"
        )
