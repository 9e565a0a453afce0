"""Shared parts of the generative models: a pair of networks, its config and its presets."""

import keras

from c2f_zoo.hub import PresetMixin
from c2f_zoo.tasks.generation.task import GenerationTask
from c2f_zoo.training import AdversarialModel


def from_paper(title, arxiv):
    """What is true of every preset of a model: its paper and its output."""
    paper = {"title": title, "arxiv": arxiv}
    return {"paper": paper, "output": "(n, H, W, 3) float32, RGB in [0, 1]"}


class GenerativePair(GenerationTask, PresetMixin, AdversarialModel):
    """A generator and a discriminator that are built from one set of arguments.

    A preset holds the averaged generator and the discriminator. When it is loaded, the generator
    that is trained starts from the average.

    Args:
        generator: `StagedNetwork`.
        discriminator: `StagedNetwork`.
        **kwargs: Of `AdversarialModel`.

    Attributes:
        generator_options: Names of the constructor's arguments, besides those of every pair, that
            are attributes of the generator.
        discriminator_options: The same of the discriminator.
    """

    generator_options, discriminator_options = (), ("group_size",)

    @property
    def resolution(self):
        """Final (height, width)."""
        return self.generator.resolutions[-1]

    @property
    def stage(self):
        """Index of the current resolution, 0 for the base; None for networks that do not grow."""
        return getattr(self.generator, "stage", None)

    def feature_extractor(self):
        """Return the discriminator without its head, see `FeatureTask.feature_extractor`.

        It takes images in [0, 1] of the resolution of the discriminator's current stage. MSG-GAN's
        has a minibatch standard deviation in every block, so that in a functional model its input
        needs a `batch_size`.

        Returns:
            `FeatureExtractor`, a `keras.Model`.
        """
        return self.discriminator.feature_extractor()

    def get_config(self):
        # Not that of AdversarialModel: the networks are rebuilt from these arguments.
        generator, discriminator = self.generator, self.discriminator
        return {
            **generator.stage_config(),
            "latent_size": self.latent_size,
            **{name: getattr(generator, name) for name in self.generator_options},
            **{name: getattr(discriminator, name) for name in self.discriminator_options},
            "seed": self.seed,
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(generator.dtype_policy),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = {key: value for key, value in config.items() if key != "trainable"}
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = keras.saving.deserialize_keras_object(config["dtype"])
        return cls(**config)

    def preset_network(self):
        return _Stored(self.ema_generator, self.discriminator)

    def preset_loaded(self):
        for ours, average in zip(self.generator.weights, self.ema_generator.weights, strict=True):
            # A copy: JAX refuses to donate one buffer under two names.
            ours.assign(keras.ops.copy(average.value))
        self.trained_stage = self.stage


class _Stored(keras.Model):
    """The part of a pair that a preset holds."""

    def __init__(self, generator, discriminator):
        super().__init__(dtype="float32")
        self.generator, self.discriminator = generator, discriminator
        self.built = True
