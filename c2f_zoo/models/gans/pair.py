"""What the generative models share: two networks of one config, presets, growing further."""

import inspect

import keras

from c2f_zoo import backend
from c2f_zoo.data.resolutions import stage_resolutions
from c2f_zoo.hub import PresetMixin
from c2f_zoo.tasks.generation.task import GenerationTask
from c2f_zoo.training import AdversarialModel


class GenerativePair(GenerationTask, PresetMixin, AdversarialModel):
    """What the four have in common: one set of arguments for both networks, and presets of them.

    A preset holds the averaged generator and the discriminator. The generator that is trained
    starts from the average when a preset is loaded.
    """

    @property
    def resolution(self):
        """Final (height, width)."""
        return self.generator.resolutions[-1]

    def get_config(self):
        # Both networks name their arguments alike.
        config = {**self.discriminator.get_config(), **self.generator.get_config()}
        config = {name: config[name] for name in _arguments(type(self)) if name in config}
        dtype = keras.saving.serialize_keras_object(self.generator.dtype_policy)
        return {**config, "name": self.name, "seed": self.seed, "dtype": dtype}

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


def _arguments(model_class):
    """Names that the constructors of a pair take, in order, a user's subclass included."""
    classes = [each for each in model_class.__mro__ if issubclass(each, GenerativePair)]
    names = [name for each in classes for name in inspect.signature(each.__init__).parameters]
    return list(dict.fromkeys(names))


class _Stored(keras.Model):
    """The part of a pair that a preset holds."""

    def __init__(self, generator, discriminator):
        super().__init__(dtype="float32")
        self.generator, self.discriminator = generator, discriminator
        self.built = True


class GrowsFurther:
    """Mixin of a growing pair."""

    @property
    def stage(self):
        """Index of the current resolution, 0 for the base; `set_stage` changes it."""
        return self.generator.stage

    def grown(self, resolution, **changes):
        """Make a larger model that has learned what this one has, to grow it further.

        It stands at this one's stage and, in the middle of a fade, at its alpha, so that it makes
        the same pictures. A schedule with `first_stage=larger.stage` goes on from there. This
        one fades 128 in at once and then trains it:
        `GrowthSchedule.by_images(128, first_stage=larger.stage, stabilise={64: 0, 128: 600_000})`.
        No schedule fades its first stage in: let a fade end before, or the first step of `fit`
        cuts it short.

        Args:
            resolution: Final height, this one's times a power of two.
            **changes: Constructor arguments that differ. `num_filters`, where it was given, is
                continued by halves unless it is among them.

        Returns:
            Model of the same class, not compiled; this one stays as it is.

        Raises:
            ValueError: The resolution is not larger, or no power of two times this one's; or a
                change does not fit what was learned.

        Example:
            >>> from c2f_zoo.models import ProGAN
            >>> model = ProGAN(8, latent_size=4, num_filters=(8, 4))
            >>> larger = model.grown(32)
            >>> larger.resolution, larger.stage, larger.generator.num_filters
            ((32, 32), 1, (8, 4, 2, 1))
        """
        mine = self.resolution[0]
        if resolution <= mine:
            raise ValueError(f"A grown model is larger than {mine}. Received: {resolution}")
        stages = stage_resolutions(resolution, self.generator.resolutions[0])
        config = {**self.get_config(), "resolution": resolution, **changes}
        del config["name"]
        if self.generator.num_filters and "num_filters" not in changes:
            widths = list(self.generator.num_filters)
            while len(widths) < len(stages):
                widths.append(max(1, widths[-1] // 2))
            config["num_filters"] = widths
        larger = type(self).from_config(config)
        for name in ("generator", "discriminator", "ema_generator"):
            getattr(larger, name).load_smaller(getattr(self, name))
        if larger.stage == self.stage:
            larger.set_alpha(float(backend.to_numpy(self.generator.alpha)))
        return larger
