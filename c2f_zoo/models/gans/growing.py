"""Networks in stages of doubling size, and their growth from stage to stage."""

import keras
import numpy as np
from keras import ops

from c2f_zoo import backend, checks
from c2f_zoo.data.resolutions import stage_resolutions
from c2f_zoo.layers import upsample_nearest
from c2f_zoo.tasks.quantization import refuse_quantization


class StagedNetwork(keras.Model):
    """A network whose layers are arranged in stages, each of twice the size.

    Args:
        resolution: Final height: the base height times a power of two.
        base_shape: (height, width) of stage 0; (4, 6) makes images of that shape.
        channel_base: Stage s has min(channel_base / 2^(s + 1), channel_max) feature maps.
        channel_max: See `channel_base`.
        num_filters: Feature maps per stage, base first, in place of that formula.
        image_channels: Channels of the images.
        **kwargs: Of `keras.Model`: `name`, `dtype`.

    Attributes:
        resolutions: Tuple of (height, width) per stage, the base first.
        widths: Tuple of feature maps per stage.

    Raises:
        ValueError: If the resolution is no power of two times the base height, or a width is not
            positive.
    """

    quantize = refuse_quantization

    def __init__(
        self,
        resolution,
        *,
        base_shape=(4, 4),
        channel_base=8192,
        channel_max=512,
        num_filters=None,
        image_channels=3,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.resolutions = stage_resolutions(resolution, base_shape)
        self.widths = stage_widths(len(self.resolutions), channel_base, channel_max, num_filters)
        self.channel_base, self.channel_max = channel_base, channel_max
        self.num_filters = None if num_filters is None else tuple(num_filters)
        self.image_channels = image_channels

    @property
    def feature_strides(self):
        """Strides of a discriminator's features, from the current resolution to the base."""
        stage = getattr(self, "stage", len(self.resolutions) - 1)
        return tuple(2**level for level in range(stage + 1))

    def stage_config(self):
        """The arguments that all networks share, as a dict."""
        return {
            "resolution": self.resolutions[-1][0],
            "base_shape": self.resolutions[0],
            "channel_base": self.channel_base,
            "channel_max": self.channel_max,
            "num_filters": self.num_filters,
            "image_channels": self.image_channels,
        }

    def get_config(self):
        return {**super().get_config(), **self.stage_config()}

    def check_images(self, images, resolution):
        """Refuse images of another shape than (B, *resolution, image_channels)."""
        height, width = resolution
        expected = f"(B, {height}, {width}, {self.image_channels})"
        sizes = (None, height, width, self.image_channels)
        checks.shape(f"Images of {type(self).__name__}", images, expected, sizes)


class GrowingNetwork(StagedNetwork):
    """A network that works at one of several resolutions.

    The variables of all stages exist from the start. `stage` is a Python integer, so there is one
    compiled step per stage; `alpha` is a variable, so a fade compiles nothing.

    Args:
        resolution: As for `StagedNetwork`.
        stage: Stage to begin at; None for the last.
        **kwargs: Of `StagedNetwork`.

    Attributes:
        alpha: Scalar variable in [0, 1]: 1 = the stage's own resolution is fully in.
    """

    def __init__(self, resolution, *, stage=None, **kwargs):
        super().__init__(resolution, **kwargs)
        self._stage = self.num_stages - 1
        self.alpha = self.add_weight(
            shape=(), initializer="ones", trainable=False, dtype="float32", name="alpha"
        )
        if stage is not None:
            self.stage = stage

    @property
    def num_stages(self):
        """Number of resolutions this network can work at."""
        return len(self.resolutions)

    @property
    def stage(self):
        """Index of the current resolution, 0 for the base.

        Setting it drops the compiled functions of `fit`, `evaluate` and `predict`.
        """
        return self._stage

    @stage.setter
    def stage(self, stage):
        stage = checks.whole("stage", stage, least=0, most=self.num_stages - 1)
        if stage != self._stage:
            self._stage = stage
            self.train_function = self.test_function = self.predict_function = None

    @property
    def current_resolution(self):
        """(height, width) of the current stage."""
        return self.resolutions[self.stage]

    def fade(self, coarse, fine):
        """Blend the previous stage's result into this one's: lerp(coarse, fine, alpha)."""
        alpha = ops.cast(ops.convert_to_tensor(self.alpha), fine.dtype)
        return coarse * (1.0 - alpha) + fine * alpha

    def image(self, features, previous):
        """Image of the current stage, blended with the previous stage's."""
        image = self.to_rgb[self.stage](features)
        if self.stage == 0:
            return image
        return self.fade(upsample_nearest(self.to_rgb[self.stage - 1](previous)), image)

    def get_config(self):
        return {**super().get_config(), "stage": self.stage}

    def load_smaller(self, other):
        """Copy the weights of a network of the same kind with fewer stages, to grow it further.

        The finer stages keep their initial values. Returns the number of variables copied; a
        ValueError says what does not fit.
        """
        if type(other) is not type(self):
            raise ValueError(
                f"load_smaller takes a {type(self).__name__}. Received: a {type(other).__name__}"
            )
        mine = {_own_path(self, variable): variable for variable in self.weights}
        # Alpha belongs to the stage, not to what was learned.
        theirs = {_own_path(other, variable): variable for variable in other.weights}
        theirs.pop("alpha")
        for path, variable in theirs.items():
            if path not in mine or tuple(mine[path].shape) != tuple(variable.shape):
                raise ValueError(
                    f"the smaller network does not fit into this one. Received: {path} of shape "
                    f"{tuple(variable.shape)}"
                )
        for path, variable in theirs.items():
            # A copy: JAX gives a variable's array away to a compiled step.
            mine[path].assign(np.array(ops.convert_to_numpy(variable)))
        return len(theirs)


def _own_path(model, variable):
    """A variable's path without the name of its model, which may differ."""
    return variable.path.removeprefix(f"{model.name}/")


def stage_widths(num_stages, channel_base=8192, channel_max=512, num_filters=None):
    """Feature maps per stage: min(channel_base / 2^(stage + 1), channel_max), or `num_filters`.

    A tuple of integers, the base stage first; `nf` of ProGAN's code. `channel_base` is 8192 in
    ProGAN, StyleGAN and StyleGAN2's config-e, 16384 in config-f.
    """
    checks.whole("channel_base", channel_base, least=1)
    checks.whole("channel_max", channel_max, least=1)
    if num_filters is None:
        return tuple(
            max(1, min(channel_base // 2 ** (stage + 1), channel_max))
            for stage in range(num_stages)
        )
    if len(num_filters) != num_stages or any(width < 1 for width in num_filters):
        raise ValueError(
            f"num_filters must hold one width for each of {num_stages} stages. "
            f"Received: {tuple(num_filters)}"
        )
    return tuple(num_filters)


def grown(model, resolution, **changes):
    """Make a larger model that has learned what this one has, to grow it further.

    It starts at this one's stage and alpha, so that it makes the same images. A schedule with
    `first_stage=larger.stage` continues from there; this one fades 128 in at once and trains it:
    `GrowthSchedule.by_images(128, first_stage=larger.stage, stabilise={64: 0, 128: 600_000})`. No
    schedule fades its first stage in: finish a fade first, or the first step of `fit` ends it.

    Args:
        model: `ProGAN` or `StyleGAN`.
        resolution: Final height, this one's times a power of two.
        **changes: Constructor arguments that differ. `num_filters`, where it was given, is
            continued by halves unless it is among them.

    Returns:
        Model of the same class, not compiled; this one stays as it is.

    Raises:
        ValueError: If the resolution is not larger, or no power of two times this one's; or a
            change does not fit what was learned.

    Example:
        >>> from c2f_zoo.models import ProGAN
        >>> model = ProGAN(8, latent_size=4, num_filters=(8, 4))
        >>> larger = model.grown(32)
        >>> larger.resolution, larger.stage, larger.generator.num_filters
        ((32, 32), 1, (8, 4, 2, 1))
    """
    mine = model.resolution[0]
    if resolution <= mine:
        raise ValueError(f"A grown model must be larger than {mine}. Received: {resolution}")
    stages = stage_resolutions(resolution, model.generator.resolutions[0])
    config = {**model.get_config(), "resolution": resolution, **changes}
    del config["name"]
    if model.generator.num_filters and "num_filters" not in changes:
        widths = list(model.generator.num_filters)
        while len(widths) < len(stages):
            widths.append(max(1, widths[-1] // 2))
        config["num_filters"] = widths
    larger = type(model).from_config(config)
    for name in ("generator", "discriminator", "ema_generator"):
        getattr(larger, name).load_smaller(getattr(model, name))
    if larger.stage == model.stage:
        larger.set_alpha(float(backend.to_numpy(model.generator.alpha)))
    larger.trained_stage = model.stage
    return larger
