"""Losses with the papers' formulas, as `keras.losses.Loss`."""

from c2f_zoo.losses.adversarial import (
    ADVERSARIAL_LOSSES,
    AdversarialLoss,
    adversarial_loss,
    gradient_penalty,
    label_loss,
    logistic_discriminator,
    logistic_generator,
    path_length_penalty,
    path_lengths,
    r1_penalty,
    relativistic_hinge_discriminator,
    relativistic_hinge_generator,
    wasserstein_discriminator,
    wasserstein_generator,
)
from c2f_zoo.losses.flow import (
    KITTI_LEVEL_WEIGHTS,
    PAPER_LEVEL_WEIGHTS,
    MultiscaleEndPointError,
    MultiscaleRobust,
)
from c2f_zoo.losses.sequence import SequenceLoss
from c2f_zoo.losses.similarity import SSIMLoss

__all__ = [
    "ADVERSARIAL_LOSSES",
    "KITTI_LEVEL_WEIGHTS",
    "PAPER_LEVEL_WEIGHTS",
    "AdversarialLoss",
    "MultiscaleEndPointError",
    "MultiscaleRobust",
    "SSIMLoss",
    "SequenceLoss",
    "adversarial_loss",
    "gradient_penalty",
    "label_loss",
    "logistic_discriminator",
    "logistic_generator",
    "path_length_penalty",
    "path_lengths",
    "r1_penalty",
    "relativistic_hinge_discriminator",
    "relativistic_hinge_generator",
    "wasserstein_discriminator",
    "wasserstein_generator",
]
