"""One step of adversarial training, in `keras.ops` alone: the same code on every backend."""

import typing

import keras
from keras import ops

from c2f_zoo.layers import average_pool, upsample_nearest
from c2f_zoo.losses import (
    adversarial_loss,
    gradient_penalty,
    path_length_penalty,
    path_lengths,
    r1_penalty,
)

# What a batch may bring beside its images, instead of having it drawn.
DRAWS = (
    "discriminator_latents",
    "generator_latents",
    "path_latents",
    "path_noise",
    "interpolation",
)


class Plan(typing.NamedTuple):
    """What one step does beside updating the discriminator; each plan is compiled by itself."""

    generator: bool
    penalty: bool
    path_length: bool

    @classmethod
    def of(cls, step, settings):
        """Plan of step number `step`, from 0, with `settings`."""
        generator = (step + 1) % settings.critic_steps == 0
        generator_step = step // settings.critic_steps
        return cls(
            generator,
            settings.has_penalty and step % settings.penalty_interval == 0,
            generator
            and settings.has_path_length
            and generator_step % settings.path_length_interval == 0,
        )


class AdversarialStep:
    """Updates discriminator, generator and average once.

    Args:
        model: The `AdversarialModel`, whose variables are changed.
        calls: `GradientCalls` of the backend.
        batch: Dict of "images", a tensor (B, H, W, C) in [-1, 1], and any of `DRAWS`.
        plan: `Plan`.
    """

    def __init__(self, model, calls, batch, plan):
        self.model, self.calls, self.plan, self.given = model, calls, plan, batch
        self.settings, self.images = model.settings, batch["images"]
        self.batch_size = ops.shape(self.images)[0]
        self.loss = adversarial_loss(self.settings.loss)

    def run(self):
        """Take the step and return {name: scalar tensor} of what is to be logged."""
        # Made outside of any gradient call: the generator's activations are not kept.
        fakes = self.generate(self.latents("discriminator_latents"))
        self.reals = self.match(fakes)
        report = self.update_discriminator(fakes)
        if self.plan.generator:
            report |= self.update_generator()
            if self.plan.path_length and self.settings.path_length_interval > 1:
                report |= self.update_path_length()
        keys = ("d_loss", "penalty", "g_loss", "path_penalty")
        report["loss"] = sum(report[key] for key in keys if key in report)
        report.pop("path_penalty", None)
        return report

    # The discriminator

    def update_discriminator(self, fakes):
        is_merged = self.plan.penalty and self.settings.penalty_interval == 1

        def loss():
            if is_merged and self.loss.penalty == "r1":
                real, gradients = self.calls.input_gradients(self.scores, self.reals)
                penalty = self.mean_over_scales(r1_penalty, gradients)
            else:
                real = self.scores(self.reals)
                penalty = self.penalty(fakes) if is_merged else 0.0
            fake = self.scores(fakes)
            report = {
                "d_loss": self.loss.discriminator(
                    real, fake, drift=self.settings.drift, average=self.calls.average
                ),
                "real_score": ops.mean(real),
                "fake_score": ops.mean(fake),
            }
            if is_merged:
                report["penalty"] = penalty
            return report["d_loss"] + penalty, report

        report = self.descend(loss, "discriminator")
        if self.plan.penalty and not is_merged:
            report |= self.update_lazy_penalty(fakes)
        return report

    def update_lazy_penalty(self, fakes):
        def loss():
            penalty = self.penalty(fakes)
            return self.settings.penalty_interval * penalty, {"penalty": penalty}

        return self.descend(loss, "discriminator")

    def penalty(self, fakes):
        if self.loss.penalty == "r1":
            _, gradients = self.calls.input_gradients(self.scores, self.reals)
            return self.mean_over_scales(r1_penalty, gradients)
        position = self.draw_uniform("interpolation", (self.batch_size, 1, 1, 1))
        between = [
            real + position * (fake - real) for real, fake in zip(self.reals, fakes, strict=True)
        ]
        _, gradients = self.calls.input_gradients(self.scores, between)
        return self.mean_over_scales(
            gradient_penalty, gradients, target=self.settings.penalty_target
        )

    def mean_over_scales(self, penalty, gradients, **options):
        weight = self.settings.penalty_weight
        return sum(penalty(g, weight=weight, **options) for g in gradients) / len(gradients)

    # The generator

    def update_generator(self):
        latents = self.latents("generator_latents")
        is_merged = self.plan.path_length and self.settings.path_length_interval == 1

        def loss():
            fake = self.scores(self.generate(latents, track=True))
            real = self.scores(self.reals) if self.loss.is_relativistic else None
            report = {"g_loss": self.loss.generator(real, fake, average=self.calls.average)}
            if not is_merged:
                return report["g_loss"], report
            report |= self.path_penalty()
            return report["g_loss"] + report["path_penalty"], report

        return self.descend(loss, "generator")

    def update_path_length(self):
        def loss():
            report = self.path_penalty()
            return self.settings.path_length_interval * report["path_penalty"], report

        return self.descend(loss, "generator")

    def path_penalty(self):
        # A stride rather than the first ones: with several replicas the same images are taken as
        # on one device.
        stride = self.settings.path_length_shrink
        latents = self.latents("path_latents", (self.batch_size + stride - 1) // stride, stride)
        noise = self.given.get("path_noise")

        def probe(styles):
            nonlocal noise
            (images,) = as_scales(self.model.generator.synthesis(styles[0]))
            images = ops.cast(images, "float32")
            _, height, width, channels = images.shape
            if noise is None:
                shape = (ops.shape(images)[0], height, width, channels)
                drawn = keras.random.normal(shape, seed=self.model.seed_generator)
            else:
                drawn = ops.cast(noise[::stride], "float32")
            return images * drawn / float(height * width) ** 0.5

        styles = self.mix(self.model.generator.mapping(latents), latents)
        _, (gradients,) = self.calls.input_gradients(probe, [styles])
        lengths = path_lengths(ops.cast(gradients, "float32"))
        past = self.model.path_length_mean
        mean_length = self.calls.average(lengths)
        moved = past + self.settings.path_length_decay * (mean_length - past)
        past.assign(ops.stop_gradient(moved))
        penalty = path_length_penalty(lengths, moved, weight=self.settings.path_length_weight)
        return {"path_penalty": penalty, "path_length": mean_length}

    def generate(self, latents, track=False):
        """Images of latents as a list of scales, their styles mixed with some probability.

        With `track` the generator's running average of styles moves, where it keeps one.
        """
        generator = self.model.generator
        track = track and hasattr(generator, "update_w_average")
        if not (track or self.model.mixes_styles):
            return as_scales(generator(latents, training=True))
        styles = generator.mapping(latents)
        if track:
            # The mean over all replicas, or their averages would part.
            mean = self.calls.average(ops.stop_gradient(styles[:, 0]), axis=0)
            generator.update_w_average(mean[None])
        return as_scales(generator.synthesis(self.mix(styles, latents)))

    def mix(self, styles, latents):
        """Styles (B, L, D); from a random layer on those of other latents, one draw a batch."""
        if not self.model.mixes_styles:
            return styles
        seed, generator = self.model.seed_generator, self.model.generator
        other = keras.random.normal(ops.shape(latents), seed=seed)
        other = generator.mapping(other)
        layers = styles.shape[1]
        # A growing generator does not use them all yet.
        used = getattr(generator, "current_layers", layers)
        first = keras.random.randint((), 1, max(used, 2), seed=seed)
        is_mixed = keras.random.uniform((), seed=seed) < self.settings.style_mixing
        is_first = ops.logical_or(ops.arange(layers) < first, ops.logical_not(is_mixed))
        return ops.where(is_first[None, :, None], styles, other)

    # What both need

    def descend(self, loss, side):
        """Apply the gradients of `loss`, a function of (loss, report), to one side's network."""
        network, optimizer = getattr(self.model, side), getattr(self.model.optimizer, side)
        weights = network.trainable_variables
        report, gradients = self.calls.loss_gradients(loss, weights)
        # A growing network's variables of other stages: the loss does not reach them.
        pairs = [pair for pair in zip(gradients, weights, strict=True) if pair[0] is not None]
        optimizer.apply([gradient for gradient, _ in pairs], [weight for _, weight in pairs])
        return report

    def scores(self, images):
        """Scores (B, 1), float32, of a list of scales."""
        images = images[0] if len(images) == 1 else list(images)
        return ops.cast(self.model.discriminator(images, training=True), "float32")

    def latents(self, name, size=None, stride=1):
        if name in self.given:
            return ops.cast(self.given[name][::stride], "float32")
        shape = (self.batch_size if size is None else size, self.model.latent_size)
        return keras.random.normal(shape, seed=self.model.seed_generator)

    def draw_uniform(self, name, shape):
        if name in self.given:
            return ops.reshape(ops.cast(self.given[name], "float32"), shape)
        return keras.random.uniform(shape, seed=self.model.seed_generator)

    def match(self, fakes):
        """Real images at every scale of the generated ones, faded in as these are."""
        sizes = [tuple(fake.shape[1:]) for fake in fakes]
        images, top = self.images, max(sizes)
        if None in images.shape[1:]:
            images = ops.reshape(images, (self.batch_size, *top))
        reals = [_shrink(images, size) for size in sizes]
        discriminator = self.model.discriminator
        if self.settings.fade_reals and getattr(discriminator, "stage", 0) > 0:
            # The generator's picture is a blend with its last stage's: so must the reals be, or
            # the discriminator would tell them by their sharpness.
            alpha = ops.cast(discriminator.alpha, "float32")
            old = [upsample_nearest(average_pool(real, 2)) for real in reals]
            reals = [a + alpha * (b - a) for a, b in zip(old, reals, strict=True)]
        return reals


def as_scales(images):
    """The list of float32 images, one per scale, that a generator returned."""
    images = images if isinstance(images, (list, tuple)) else [images]
    return [ops.cast(scale, "float32") for scale in images]


def _shrink(images, size):
    factors = {have // want for have, want in zip(images.shape[1:3], size, strict=False)}
    exact = tuple(side * min(factors) for side in size[:2])
    if len(factors) > 1 or tuple(images.shape[1:]) != (*exact, size[2]) or min(factors) < 1:
        raise ValueError(
            f"The generator makes images of {size}, (height, width, channels); real images must "
            f"have that size or a whole multiple of it. Received: {tuple(images.shape[1:])}"
        )
    factor = min(factors)
    return average_pool(images, factor) if factor > 1 else images
