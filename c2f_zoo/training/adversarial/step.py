"""One step of adversarial training, in `keras.ops` alone: the same code on every backend."""

import enum
import typing

import keras
from keras import ops

from c2f_zoo import backend
from c2f_zoo.layers import average_pool, upsample_nearest
from c2f_zoo.losses import (
    adversarial_loss,
    gradient_penalty,
    label_loss,
    path_length_penalty,
    path_lengths,
    r1_penalty,
)
from c2f_zoo.training.micro_batches import length_of, mean_over_parts


class Phase(enum.Enum):
    """Part of a step; each is compiled by itself."""

    PENALTY = "the discriminator descends its lazy penalty"
    PATH_LENGTH = "the generator descends its lazy path length penalty"
    CRITIC = "the discriminator is updated"
    BOTH = "the discriminator is updated, then the generator"


def phases_of(step, settings):
    """Phases of step number `step`, from 0, with `settings`, in order.

    Lazy penalties come first, for the moving average to follow all updates. R1 needs no generator
    and path lengths need no discriminator: each network's updates alternate as in the released
    code, where each lazy penalty comes after its network's main update.
    """
    is_critic = (step + 1) % settings.critic_steps != 0
    generator_step = step // settings.critic_steps
    phases = []
    if settings.has_lazy_penalty and step % settings.penalty_interval == 0:
        phases.append(Phase.PENALTY)
    if not is_critic and settings.has_lazy_path_length:
        if generator_step % settings.path_length_interval == 0:
            phases.append(Phase.PATH_LENGTH)
    return (*phases, Phase.CRITIC if is_critic else Phase.BOTH)


class Judgement(typing.NamedTuple):
    """A discriminator's scores (B, 1) and its logits of the labels (B, label size), or None.

    The scores come first: `input_gradients` differentiates the first result.
    """

    scores: typing.Any
    logits: typing.Any = None


class AdversarialStep:
    """One `Phase` of a step of an `AdversarialModel`, in its `micro_batches` one after another.

    `calls` are the backend's `GradientCalls`; `batch` is what `read_batch` returns.
    """

    def __init__(self, model, calls, batch):
        self.model, self.calls, self.batch = model, calls, batch
        self.batch_size = length_of(batch)

    def run(self, phase):
        """Take a `Phase` and return {name: scalar tensor} to be logged."""
        if phase is Phase.PATH_LENGTH:
            return self.descend(MicroBatch.lazy_path_length, "generator")
        if phase is Phase.PENALTY:
            return self.descend(MicroBatch.lazy_penalty, "discriminator")
        report = self.descend(MicroBatch.discriminator_loss, "discriminator")
        if phase is Phase.BOTH:
            report |= self.descend(MicroBatch.generator_loss, "generator")
        keys = ("d_loss", "d_label_loss", "penalty", "g_loss", "g_label_loss", "path_penalty")
        report["loss"] = sum(report[key] for key in keys if key in report)
        return report

    def descend(self, loss_of, side):
        """Update one side's network by a loss of the batch, the mean of those of its parts.

        `loss_of(part)` returns a function that returns (loss, report).
        """
        network, optimizer = getattr(self.model, side), getattr(self.model.optimizer, side)
        weights = network.trainable_variables

        def differentiate(part):
            return self.calls.loss_gradients(
                loss_of(MicroBatch(self.model, self.calls, part)), weights
            )

        count = self.model.micro_batches
        report, gradients = mean_over_parts(differentiate, self.calls, self.batch, count)
        # None for a growing network's variables of other stages: the loss does not reach them.
        self.calls.apply(optimizer, gradients, weights)
        # Once for all parts.
        if "w_mean" in report:
            self.model.generator.update_w_average(report.pop("w_mean")[None])
        if "path_length" in report:
            past = self.model.path_length_mean
            past.assign(_moved(past, report["path_length"], self.model.settings))
        return report


class MicroBatch:
    """The losses of a part of an adversarial step's batch: all of it, or a micro-batch."""

    def __init__(self, model, calls, batch):
        self.model, self.calls, self.given = model, calls, batch
        self.settings, self.batch_size = model.settings, length_of(batch)
        self.loss = adversarial_loss(self.settings.loss)
        self.images, self.labels = batch["images"], batch.get("labels")

    # The discriminator

    def fakes(self):
        """Generated images as a list of scales; the real ones are matched to them.

        Outside of any gradient call: the generator's activations are not kept. The fakes have the
        classes of the real images, as in ProGAN's released code.
        """
        labels = self.given.get("discriminator_labels", self.labels)
        fakes = self.generate(self.latents("discriminator_latents"), labels)
        self.reals = self.match(fakes)
        return fakes, labels

    def discriminator_loss(self):
        fakes, fake_labels = self.fakes()
        is_merged = self.settings.has_penalty and not self.settings.has_lazy_penalty
        options = {"drift": self.settings.drift, "average": self.calls.average}

        def loss():
            if is_merged and self.loss.penalty == "r1":
                real, gradients = self.calls.input_gradients(self.judge, self.reals)
                penalty = self.mean_over_scales(r1_penalty, gradients)
            else:
                real = self.judge(self.reals)
                penalty = self.penalty(fakes) if is_merged else 0.0
            fake = self.judge(fakes)
            report = {
                "d_loss": self.loss.discriminator(real.scores, fake.scores, **options),
                "real_score": ops.mean(real.scores),
                "fake_score": ops.mean(fake.scores),
            }
            if is_merged:
                report["penalty"] = penalty
            if self.labels is None:
                return report["d_loss"] + penalty, report
            losses = label_loss(self.labels, real.logits), label_loss(fake_labels, fake.logits)
            report["d_label_loss"] = self.settings.label_weight * sum(losses)
            return report["d_loss"] + penalty + report["d_label_loss"], report

        return loss

    def lazy_penalty(self):
        if self.loss.penalty == "r1":
            fakes = None
            self.reals = self.match(self.sample())
        else:
            fakes, _ = self.fakes()

        def loss():
            penalty = self.penalty(fakes)
            return self.settings.penalty_interval * penalty, {"penalty": penalty}

        return loss

    def penalty(self, fakes):
        if self.loss.penalty == "r1":
            _, gradients = self.calls.input_gradients(self.judge, self.reals)
            return self.mean_over_scales(r1_penalty, gradients)
        shape = (self.batch_size, 1, 1, 1)
        if "interpolation" in self.given:
            position = ops.reshape(ops.cast(self.given["interpolation"], "float32"), shape)
        else:
            position = keras.random.uniform(shape, seed=self.model.seed_generator)
        between = [
            real + position * (fake - real) for real, fake in zip(self.reals, fakes, strict=True)
        ]
        _, gradients = self.calls.input_gradients(self.judge, between)
        return self.mean_over_scales(
            gradient_penalty, gradients, target=self.settings.penalty_target
        )

    def mean_over_scales(self, penalty, gradients, **options):
        weight = self.settings.penalty_weight
        return sum(penalty(g, weight=weight, **options) for g in gradients) / len(gradients)

    # The generator

    def generator_loss(self):
        latents, labels = self.latents("generator_latents"), self.generator_labels()
        is_merged = self.settings.has_path_length and not self.settings.has_lazy_path_length

        def loss():
            report = {}
            fakes = self.generate(latents, labels, report)
            fake = self.judge(fakes)
            real = self.judge(self.match(fakes)).scores if self.loss.is_relativistic else None
            total = self.loss.generator(real, fake.scores, average=self.calls.average)
            report["g_loss"] = total
            if labels is not None:
                label_term = self.settings.label_weight * label_loss(labels, fake.logits)
                report["g_label_loss"] = label_term
                total = total + label_term
            if is_merged:
                report |= self.path_penalty()
                total = total + report["path_penalty"]
            return total, report

        return loss

    def generator_labels(self):
        """Labels (B, label size) of the generator's batch: those of the reals, shuffled.

        ProGAN's released code draws them from the training set, of which a batch is a draw already.
        Unshuffled, the groups of a minibatch standard deviation would be those of the
        discriminator's.
        """
        if self.labels is None or "generator_labels" in self.given:
            return self.given.get("generator_labels")
        # keras.random.shuffle would move each component by itself on JAX.
        keys = keras.random.uniform((self.batch_size,), seed=self.model.seed_generator)
        return ops.take(self.labels, ops.argsort(keys), axis=0)

    def lazy_path_length(self):
        def loss():
            report = self.path_penalty()
            return self.settings.path_length_interval * report["path_penalty"], report

        return loss

    def path_penalty(self):
        # A stride, not the first ones: several replicas take the same images as one device.
        stride = self.settings.path_length_shrink
        latents = self.latents("path_latents", (self.batch_size + stride - 1) // stride, stride)

        def probe(styles):
            (images,) = as_scales(self.model.generator.synthesis(styles[0]))
            noise = self.given.get("path_noise")
            if noise is None:
                noise = keras.random.normal(ops.shape(images), seed=self.model.seed_generator)
            else:
                noise = ops.cast(noise[::stride], "float32")
            _, height, width, _ = images.shape
            return (images * noise / float(height * width) ** 0.5,)

        styles = self.mix(self.model.generator.mapping(latents), latents)
        _, (gradients,) = self.calls.input_gradients(probe, [styles])
        lengths = path_lengths(ops.cast(gradients, "float32"))
        mean_length = self.calls.average(lengths)
        moved = _moved(self.model.path_length_mean, mean_length, self.settings)
        penalty = path_length_penalty(lengths, moved, weight=self.settings.path_length_weight)
        return {"path_penalty": penalty, "path_length": mean_length}

    def sample(self):
        """One image, for its sizes."""
        sizes = (self.model.latent_size, self.model.label_size)
        inputs = [ops.zeros((1, size)) for size in sizes if size]
        return as_scales(self.model.generator(*inputs, training=False))

    def generate(self, latents, labels=None, report=None):
        """Images of latents as a list of scales, with style mixing.

        A `report` is told the mean of the styles, where the generator has a running average.
        """
        generator = self.model.generator
        track = report is not None and hasattr(generator, "update_w_average")
        if not (track or self.model.mixes_styles):
            inputs = (latents,) if labels is None else (latents, labels)
            return as_scales(generator(*inputs, training=True))
        styles = generator.mapping(latents)
        if track:
            # The mean over all replicas, or their averages would differ.
            report["w_mean"] = self.calls.average(ops.stop_gradient(styles[:, 0]), axis=0)
        return as_scales(generator.synthesis(self.mix(styles, latents)))

    def mix(self, styles, latents):
        """Styles (B, L, D); from a random layer on those of other latents, one draw a batch."""
        if not self.model.mixes_styles:
            return styles
        seed, generator = self.model.seed_generator, self.model.generator
        other = generator.mapping(keras.random.normal(ops.shape(latents), seed=seed))
        layers = styles.shape[1]
        # A growing generator does not use them all yet.
        used = getattr(generator, "current_layers", layers)
        first = keras.random.randint((), 1, max(used, 2), seed=seed)
        is_mixed = keras.random.uniform((), seed=seed) < self.settings.style_mixing
        is_first = ops.logical_or(ops.arange(layers) < first, ops.logical_not(is_mixed))
        return ops.where(is_first[None, :, None], styles, other)

    # What both need

    def judge(self, images):
        """`Judgement` of a list of scales."""
        images = images[0] if len(images) == 1 else list(images)
        outputs = self.model.discriminator(images, training=True)
        outputs = (outputs,) if self.labels is None else outputs
        return Judgement(*(ops.cast(output, "float32") for output in outputs))

    def latents(self, name, size=None, stride=1):
        if name in self.given:
            return ops.cast(self.given[name][::stride], "float32")
        shape = (self.batch_size if size is None else size, self.model.latent_size)
        return keras.random.normal(shape, seed=self.model.seed_generator)

    def match(self, fakes):
        """Real images at every scale of the generated ones, faded in as these are."""
        sizes = [tuple(fake.shape[1:]) for fake in fakes]
        images, top = self.images, max(sizes)
        if None in images.shape[1:]:
            # Of a stream whose images grow: the generator's size, which only the graph checks.
            images = backend.ensure_shape(images, (None, *top))
        reals = [_shrink(images, size) for size in sizes]
        discriminator = self.model.discriminator
        if self.settings.fade_reals and getattr(discriminator, "stage", 0) > 0:
            # Blended as the generator's images are, or the discriminator would recognise them by
            # their sharpness.
            alpha = ops.cast(discriminator.alpha, "float32")
            old = [upsample_nearest(average_pool(real, 2)) for real in reals]
            reals = [a + alpha * (b - a) for a, b in zip(old, reals, strict=True)]
        return reals


def _moved(past, length, settings):
    """The running mean of path lengths, moved towards the length of a batch."""
    return past + settings.path_length_decay * (length - past)


def as_scales(images):
    """The list of float32 images, one per scale, that a generator returned."""
    images = images if isinstance(images, (list, tuple)) else [images]
    return [ops.cast(scale, "float32") for scale in images]


def _shrink(images, size):
    factors = {have // want for have, want in zip(images.shape[1:3], size, strict=False)}
    exact = tuple(side * min(factors) for side in size[:2])
    if len(factors) > 1 or tuple(images.shape[1:]) != (*exact, size[2]) or min(factors) < 1:
        raise ValueError(
            f"Real images must have the generator's (height, width, channels), {size}, or a whole "
            f"multiple of its height and width. Received: {tuple(images.shape[1:])}"
        )
    factor = min(factors)
    return average_pool(images, factor) if factor > 1 else images


def logged_names(settings, label_size):
    """Names that steps with these `AdversarialTraining` settings report, whatever their plans."""
    yield from ("loss", "d_loss", "g_loss", "real_score", "fake_score")
    if settings.has_penalty:
        yield "penalty"
    if settings.has_path_length:
        yield "path_length"
    if label_size:
        yield from ("d_label_loss", "g_label_loss")
