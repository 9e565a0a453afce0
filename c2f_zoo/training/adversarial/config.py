"""Settings of adversarial training, and those of the papers by name."""

import dataclasses

import keras

from c2f_zoo import checks
from c2f_zoo.losses import adversarial_loss
from c2f_zoo.training.adversarial.optimizer_pair import OptimizerPair

_RATES = ("generator_learning_rate", "discriminator_learning_rate")


@dataclasses.dataclass(frozen=True)
class AdversarialTraining:
    """Settings of adversarial training; the defaults are ProGAN's.

    A penalty whose interval is above 1 is lazy: every `interval` steps it takes an optimizer step
    of its own, its weight multiplied by the interval, and the learning rate and betas are
    corrected for the additional step (`lazy_correction`).

    Attributes:
        loss: Name known to `c2f_zoo.losses.adversarial_loss`.
        penalty_weight: lambda of the gradient penalty, or gamma of R1. 0 turns it off.
        penalty_target: Gradient norm that the gradient penalty aims at.
        penalty_interval: Steps between penalties of the discriminator.
        drift: Weight of the squared real scores in the Wasserstein loss.
        path_length_weight: Weight of path length regularisation. 0 turns it off; otherwise the
            generator needs `mapping` and `synthesis`.
        path_length_interval: Generator steps between path length penalties.
        path_length_decay: Weight of a batch in the running mean of lengths.
        path_length_shrink: Path lengths are computed for one image in this many of the batch.
        critic_steps: Discriminator steps per generator step (n_critic).
        generator_learning_rate, discriminator_learning_rate: Adam's learning rate, uncorrected.
        beta_1: Adam's beta 1, uncorrected.
        beta_2: Adam's beta 2, uncorrected.
        epsilon: Adam's epsilon.
        ema_decay: Decay of the generator's average per discriminator step.
        ema_half_life: Images after which the past counts half, in place of `ema_decay`.
        style_mixing: Probability that a batch mixes the styles of two latents, where the
            generator has `mapping` and `synthesis`.
        fade_reals: Whether the step fades real images in with a growing pair's alpha. False where
            the stream of images does it already.
        label_weight: Weight of the labels' cross-entropy in both networks' losses, where they take
            labels (AC-GAN).

    Raises:
        ValueError: If a value is out of range, or not exactly one of `ema_decay` and
            `ema_half_life` is given.

    Example:
        >>> AdversarialTraining.named("stylegan2").penalty_interval
        16
    """

    loss: str = "wgan-gp"
    penalty_weight: float = 10.0
    penalty_target: float = 1.0
    penalty_interval: int = 1
    drift: float = 0.001
    path_length_weight: float = 0.0
    path_length_interval: int = 4
    path_length_decay: float = 0.01
    path_length_shrink: int = 2
    critic_steps: int = 1
    generator_learning_rate: float = 1e-3
    discriminator_learning_rate: float = 1e-3
    beta_1: float = 0.0
    beta_2: float = 0.99
    epsilon: float = 1e-8
    ema_decay: float | None = 0.999
    ema_half_life: float | None = None
    style_mixing: float = 0.0
    fade_reals: bool = True
    label_weight: float = 1.0

    def __post_init__(self):
        adversarial_loss(self.loss)
        intervals = ("penalty_interval", "path_length_interval", "path_length_shrink")
        for name in (*intervals, "critic_steps"):
            checks.whole(name, getattr(self, name), least=1)
        for name in ("penalty_weight", "path_length_weight", "label_weight", "drift"):
            checks.number(name, getattr(self, name), least=0)
        for name in ("penalty_target", "epsilon", *_RATES):
            checks.number(name, getattr(self, name), above=0)
        for name in ("beta_1", "beta_2"):
            checks.number(name, getattr(self, name), least=0, below=1)
        for name in ("path_length_decay", "style_mixing"):
            checks.number(name, getattr(self, name), least=0, most=1)
        if (self.ema_decay is None) == (self.ema_half_life is None):
            raise ValueError(
                "Give one of ema_decay and ema_half_life, and None for the other. "
                f"Received: ema_decay={self.ema_decay}, ema_half_life={self.ema_half_life}"
            )
        if self.ema_half_life is None:
            checks.number("ema_decay", self.ema_decay, least=0, below=1)
        else:
            checks.number("ema_half_life", self.ema_half_life, above=0)

    @classmethod
    def named(cls, name, **changes):
        """Settings as a paper and its released code have them.

        Args:
            name: "progan", "progan-cifar10", "stylegan", "stylegan2" (config-f, lazy penalties
                and path length), "msg-stylegan" or "msg-progan".
            **changes: Attributes that differ.

        Returns:
            `AdversarialTraining`.

        Raises:
            ValueError: If the name is unknown.

        Example:
            >>> AdversarialTraining.named("stylegan", penalty_weight=5.0).penalty_weight
            5.0
        """
        checks.one_of("name", name, PAPERS)
        return cls(**{**PAPERS[name], **changes})

    @property
    def has_penalty(self):
        """Whether the discriminator's gradients are penalised."""
        return adversarial_loss(self.loss).penalty is not None and self.penalty_weight > 0

    @property
    def has_path_length(self):
        """Whether the generator's path lengths are regularised."""
        return self.path_length_weight > 0

    @property
    def has_lazy_penalty(self):
        """Whether that takes steps of its own."""
        return self.has_penalty and self.penalty_interval > 1

    @property
    def has_lazy_path_length(self):
        """Whether that takes steps of its own."""
        return self.has_path_length and self.path_length_interval > 1

    @property
    def discriminator_correction(self):
        """Factor `k / (k + 1)` of a lazy penalty of the discriminator, else 1."""
        return lazy_correction(self.penalty_interval) if self.has_penalty else 1.0

    @property
    def generator_correction(self):
        """Factor `k / (k + 1)` of a lazy penalty of the generator, else 1."""
        return lazy_correction(self.path_length_interval) if self.has_path_length else 1.0

    def optimizers(self):
        """Make the two Adam optimizers, corrected for lazy penalties.

        Returns:
            `OptimizerPair`.
        """
        return OptimizerPair(
            self._adam(self.generator_learning_rate, self.generator_correction),
            self._adam(self.discriminator_learning_rate, self.discriminator_correction),
        )

    def _adam(self, learning_rate, correction):
        return keras.optimizers.Adam(
            learning_rate=learning_rate * correction,
            beta_1=self.beta_1**correction,
            beta_2=self.beta_2**correction,
            epsilon=self.epsilon,
        )


def lazy_correction(interval):
    """Factor for the learning rate, and exponent for Adam's betas, of a lazy penalty.

    Every `k` = `interval` steps there are `k + 1` updates; with `c = k / (k + 1)` the rate `c * r`
    and the memory `beta^c` make them count for `k`. An interval of 1 means that the penalty is part
    of the loss: 1.0. Source: arXiv 1912.04958, appendix B, "lazy regularization".
    """
    return 1.0 if interval == 1 else interval / (interval + 1)


_STYLE = {
    "loss": "logistic-r1",
    "penalty_weight": 10.0,
    "ema_decay": None,
    "ema_half_life": 10_000.0,
}
_RATE_2E3 = dict.fromkeys(_RATES, 2e-3)
_RATE_3E3 = dict.fromkeys(_RATES, 3e-3)

PAPERS = {
    "progan": {},
    "progan-cifar10": {"penalty_target": 750.0},
    "stylegan": {**_STYLE, "style_mixing": 0.9},
    "stylegan2": {
        **_STYLE,
        **_RATE_2E3,
        "style_mixing": 0.9,
        "penalty_interval": 16,
        "path_length_weight": 2.0,
        "path_length_interval": 4,
    },
    "msg-stylegan": {**_STYLE, **_RATE_3E3},
    "msg-progan": {"loss": "relativistic-hinge", **_RATE_3E3},
}
