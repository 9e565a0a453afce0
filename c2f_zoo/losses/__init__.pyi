from .adversarial import (
    ADVERSARIAL_LOSSES as ADVERSARIAL_LOSSES,
    AdversarialLoss as AdversarialLoss,
    adversarial_loss as adversarial_loss,
    gradient_penalty as gradient_penalty,
    label_loss as label_loss,
    logistic_discriminator as logistic_discriminator,
    logistic_generator as logistic_generator,
    path_length_penalty as path_length_penalty,
    path_lengths as path_lengths,
    r1_penalty as r1_penalty,
    relativistic_hinge_discriminator as relativistic_hinge_discriminator,
    relativistic_hinge_generator as relativistic_hinge_generator,
    wasserstein_discriminator as wasserstein_discriminator,
    wasserstein_generator as wasserstein_generator,
)
from .depth import (
    MultiscaleDepthLoss as MultiscaleDepthLoss,
    edge_aware_smoothness as edge_aware_smoothness,
    shrink_known as shrink_known,
)
from .flow import (
    KITTI_LEVEL_WEIGHTS as KITTI_LEVEL_WEIGHTS,
    PAPER_LEVEL_WEIGHTS as PAPER_LEVEL_WEIGHTS,
    MultiscaleEndPointError as MultiscaleEndPointError,
    MultiscaleRobust as MultiscaleRobust,
)
from .laplace import MixtureOfLaplaceLoss as MixtureOfLaplaceLoss
from .sequence import SequenceLoss as SequenceLoss
from .similarity import SSIMLoss as SSIMLoss
from .stereo import (
    PSMNET_LEVEL_WEIGHTS as PSMNET_LEVEL_WEIGHTS,
    MultilevelSmoothL1 as MultilevelSmoothL1,
)
