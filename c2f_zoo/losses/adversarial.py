"""Adversarial losses and their penalties, as functions of scores and gradients.

Every loss is a mean over the batch. Scores are logits (no sigmoid); higher means "more real".
`training/steps/` computes the gradients.
"""

import dataclasses
from collections.abc import Callable

from keras import ops

from c2f_zoo import checks


def wasserstein_discriminator(real, fake, drift=0.001, average=ops.mean):
    """Critic's Wasserstein loss with a drift term that keeps its scores near zero.

    `L_D = E[D(fake)] - E[D(real)] + drift * E[D(real)^2]`

    Args:
        real, fake: Tensors (B, 1), scores of real and of generated images.
        drift: Weight of the drift term.
        average: Unused.

    Returns:
        Scalar tensor.

    Source: Gulrajani et al., arXiv 1704.00028, equation 3; drift: Karras et al., arXiv
    1710.10196, appendix A.1. The penalty is `gradient_penalty`.

    Example:
        >>> float(wasserstein_discriminator(np.ones((2, 1)), -np.ones((2, 1)), drift=0.5))
        -1.5
    """
    real, fake = _not_empty(real=real, fake=fake)
    return ops.mean(fake) - ops.mean(real) + drift * ops.mean(ops.square(real))


def wasserstein_generator(real, fake, average=ops.mean):
    """Generator's Wasserstein loss: `L_G = -E[D(fake)]`.

    Args:
        real: Unused.
        fake: Tensor (B, 1), scores of generated images.
        average: Unused.

    Returns:
        Scalar tensor.

    Source: Arjovsky et al., arXiv 1701.07875, algorithm 1.

    Example:
        >>> float(wasserstein_generator(None, np.full((2, 1), 3.0)))
        -3.0
    """
    (fake,) = _not_empty(fake=fake)
    return -ops.mean(fake)


def logistic_discriminator(real, fake, drift=0.0, average=ops.mean):
    """Discriminator's logistic loss: `L_D = E[softplus(D(fake))] + E[softplus(-D(real))]`.

    Args:
        real, fake: Tensors (B, 1), scores of real and of generated images.
        drift, average: Unused.

    Returns:
        Scalar tensor.

    Source: Goodfellow et al., arXiv 1406.2661, equation 1. The penalty is `r1_penalty`.

    Example:
        >>> round(float(logistic_discriminator(np.zeros((2, 1)), np.zeros((2, 1)))), 4)
        1.3863
    """
    real, fake = _not_empty(real=real, fake=fake)
    return ops.mean(ops.softplus(fake)) + ops.mean(ops.softplus(-real))


def logistic_generator(real, fake, average=ops.mean):
    """Generator's non-saturating logistic loss: `L_G = E[softplus(-D(fake))]`.

    Args:
        real: Unused.
        fake: Tensor (B, 1), scores of generated images.
        average: Unused.

    Returns:
        Scalar tensor.

    Source: Goodfellow et al., arXiv 1406.2661, section 3.

    Example:
        >>> round(float(logistic_generator(None, np.zeros((2, 1)))), 4)
        0.6931
    """
    (fake,) = _not_empty(fake=fake)
    return ops.mean(ops.softplus(-fake))


def relativistic_hinge_discriminator(real, fake, drift=0.0, average=ops.mean):
    """Discriminator's relativistic average hinge loss: reals score above the average fake.

    `L_D = E[relu(1 - (D(real) - E[D(fake)]))] + E[relu(1 + (D(fake) - E[D(real)]))]`

    Args:
        real, fake: Tensors (B, 1), scores of real and of generated images.
        drift: Unused.
        average: Function from scores (B, 1) to their scalar average. With several replicas it must
            average over all of them, because the loss is not linear in it.

    Returns:
        Scalar tensor.

    Source: Jolicoeur-Martineau, arXiv 1807.00734, section 4.2 with hinge; used by MSG-GAN
    (arXiv 1903.06048).

    Example:
        >>> float(relativistic_hinge_discriminator(np.ones((2, 1)), -np.ones((2, 1))))
        0.0
    """
    real, fake = _not_empty(real=real, fake=fake)
    above, below = real - average(fake), fake - average(real)
    return ops.mean(ops.relu(1.0 - above)) + ops.mean(ops.relu(1.0 + below))


def relativistic_hinge_generator(real, fake, average=ops.mean):
    """Generator's relativistic average hinge loss: the discriminator's with swapped roles.

    Args:
        real, fake: Tensors (B, 1), scores of real and of generated images.
        average: See `relativistic_hinge_discriminator`.

    Returns:
        Scalar tensor.

    Source: Jolicoeur-Martineau, arXiv 1807.00734, section 4.2 with hinge.

    Example:
        >>> float(relativistic_hinge_generator(np.ones((2, 1)), -np.ones((2, 1))))
        6.0
    """
    return relativistic_hinge_discriminator(fake, real, average=average)


def label_loss(labels, logits):
    """Softmax cross-entropy of labels, which both networks of an AC-GAN minimise.

    `L = E[-sum_c label_c * log softmax(logits)_c]`

    Args:
        labels: Tensor (B, C), one-hot or probabilities.
        logits: Tensor (B, C).

    Returns:
        Scalar tensor.

    Raises:
        ValueError: If the shapes differ or the batch is empty.

    Source: Odena et al., arXiv 1610.09585, equation 3; softmax cross-entropy of weight 1 as in
    the released code of Karras et al., arXiv 1710.10196.

    Example:
        >>> round(float(label_loss(np.eye(2, dtype="float32"), np.zeros((2, 2), "float32"))), 4)
        0.6931
    """
    labels, logits = _not_empty(labels=labels, logits=logits)
    checks.same_shape(("labels", "logits"), (labels, logits), "(B, C)", (None, None))
    terms = ops.multiply(labels, ops.log_softmax(logits, axis=-1))
    return -ops.mean(ops.sum(terms, axis=-1))


def gradient_penalty(gradients, weight=10.0, target=1.0):
    """Penalty on critic slopes other than `target` between real and generated images.

    `weight * E[(||grad D(x)||_2 - target)^2] / target^2`, `x` a random point on the line from a
    real image to a generated one; the norm is over all values of an image.

    Args:
        gradients: Tensor (B, ...), gradient of the summed scores with respect to `x`.
        weight: lambda.
        target: gamma, positive: 1, or 750 for CIFAR-10.

    Returns:
        Scalar tensor, whose derivative at a gradient of zero is zero.

    Raises:
        ValueError: If `gradients` is empty or `target` not positive.

    Source: Gulrajani et al., arXiv 1704.00028, equation 3; target: Karras et al., arXiv
    1710.10196, appendix D.

    Example:
        >>> float(gradient_penalty(np.full((1, 2, 2, 1), 2.0), weight=1.0, target=2.0))
        1.0
    """
    target = checks.number("target", target, above=0)
    # A square root has no derivative at 0: its NaN would reach every weight.
    norm = ops.sqrt(ops.maximum(_squared_norm(gradients), 1e-16))
    return weight / target**2 * ops.mean(ops.square(norm - target))


def r1_penalty(gradients, weight=10.0):
    """Penalty that flattens the discriminator at real images: `weight / 2 * E[||grad D||^2]`.

    Args:
        gradients: Tensor (B, ...), gradient of the summed scores with respect to real images.
        weight: gamma.

    Returns:
        Scalar tensor.

    Raises:
        ValueError: If `gradients` is empty.

    Source: Mescheder et al., arXiv 1801.04406, equation 9.

    Example:
        >>> float(r1_penalty(np.full((1, 2, 2, 1), 2.0), weight=1.0))
        8.0
    """
    return weight / 2.0 * ops.mean(_squared_norm(gradients))


def path_lengths(gradients):
    """Length of the image's change per unit change of its styles.

    `length = sqrt(mean_l sum_d J[l, d]^2)`, where `J` is the gradient of the sum of the image
    times noise of variance 1 / (H W), an unbiased estimate of the Jacobian's norm.

    Args:
        gradients: Tensor (B, L, D), gradient with respect to the L layers' styles.

    Returns:
        Tensor (B,).

    Raises:
        ValueError: If `gradients` is empty or not of rank 3.

    Source: Karras et al., arXiv 1912.04958, equation 4 and appendix B.

    Example:
        >>> np.asarray(path_lengths(np.full((1, 2, 9), 1.0))).tolist()
        [3.0]
    """
    (gradients,) = _not_empty(gradients=gradients)
    checks.shape("gradients", gradients, "(B, L, D)", (None,) * 3)
    squares = ops.mean(ops.sum(ops.square(gradients), axis=-1), axis=-1)
    return ops.sqrt(ops.maximum(squares, 1e-16))


def path_length_penalty(lengths, mean_length, weight=2.0):
    """Penalty on path lengths that differ from their running mean: `weight * E[(l - a)^2]`.

    Args:
        lengths: Tensor (B,), from `path_lengths`.
        mean_length: Scalar, the running mean `a`, already moved by this batch:
            `a <- a + 0.01 * (E[l] - a)`.
        weight: Weight of the penalty.

    Returns:
        Scalar tensor.

    Source: Karras et al., arXiv 1912.04958, equation 4; weight and decay as released.

    Example:
        >>> float(path_length_penalty(np.array([1.0, 3.0]), 2.0))
        2.0
    """
    return weight * ops.mean(ops.square(lengths - mean_length))


def _not_empty(**arrays):
    """Tensors of the arguments; the mean of an empty one would be NaN."""
    tensors = {name: ops.convert_to_tensor(array) for name, array in arrays.items()}
    for name, tensor in tensors.items():
        if 0 in tensor.shape:
            raise ValueError(f"{name} must not be empty. Received: shape {tuple(tensor.shape)}")
    return tensors.values()


def _squared_norm(gradients):
    (gradients,) = _not_empty(gradients=gradients)
    return ops.sum(ops.square(ops.reshape(gradients, (ops.shape(gradients)[0], -1))), axis=-1)


@dataclasses.dataclass(frozen=True)
class AdversarialLoss:
    """The losses of both networks, and the gradient penalty that belongs to them.

    Attributes:
        name: Name for `adversarial_loss`.
        discriminator: Function (real, fake, drift, average) of scores.
        generator: Function (real, fake, average) of scores.
        penalty: `"gradient"` for `gradient_penalty` between real and generated images, `"r1"` for
            `r1_penalty` at real images, or None.
        is_relativistic: Whether the generator's loss needs the scores of real images.

    Example:
        >>> adversarial_loss("logistic-r1").penalty
        'r1'
    """

    name: str
    discriminator: Callable
    generator: Callable
    penalty: str | None = None
    is_relativistic: bool = False


ADVERSARIAL_LOSSES = {
    loss.name: loss
    for loss in (
        AdversarialLoss("wgan-gp", wasserstein_discriminator, wasserstein_generator, "gradient"),
        AdversarialLoss("logistic", logistic_discriminator, logistic_generator),
        AdversarialLoss("logistic-r1", logistic_discriminator, logistic_generator, "r1"),
        AdversarialLoss(
            "relativistic-hinge",
            relativistic_hinge_discriminator,
            relativistic_hinge_generator,
            is_relativistic=True,
        ),
    )
}


def adversarial_loss(name):
    """Look up an adversarial loss.

    Args:
        name: `"wgan-gp"`, `"logistic"`, `"logistic-r1"`, `"relativistic-hinge"`, or an
            `AdversarialLoss`, which is returned unchanged.

    Returns:
        `AdversarialLoss`.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> adversarial_loss("wgan-gp").penalty
        'gradient'
    """
    if isinstance(name, AdversarialLoss):
        return name
    return ADVERSARIAL_LOSSES[checks.one_of("name", name, ADVERSARIAL_LOSSES)]
