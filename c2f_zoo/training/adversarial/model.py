"""Training a generator against a discriminator with `fit`."""

import dataclasses
import inspect

import keras
from keras import ops

from c2f_zoo import backend
from c2f_zoo.training.adversarial.batch import common_label_size, generator_inputs, read_batch
from c2f_zoo.training.adversarial.checks import (
    MEASURE,
    check_arrays,
    check_no_validation,
    check_settings,
)
from c2f_zoo.training.adversarial.config import AdversarialTraining
from c2f_zoo.training.adversarial.optimizer_pair import OptimizerPair
from c2f_zoo.training.adversarial.step import AdversarialStep, Phase, logged_names, phases_of
from c2f_zoo.training.ema import averaged_copy, half_life_decay, update_average
from c2f_zoo.training.micro_batches import chosen_parts
from c2f_zoo.training.planned_steps import StepPlanner
from c2f_zoo.training.steps import TrainStep, assign


@keras.saving.register_keras_serializable(package="c2f_zoo")
class AdversarialModel(TrainStep, keras.Model):
    """A generator and a discriminator that are trained against each other, growing or not.

    `fit` takes batches of real images, uint8 or float in [0, 1], of the generator's size or a
    whole multiple of it; for networks with labels, batches (images, labels) with integer labels
    (B,) or labels (B, label size). A batch may also be a dict of "images", "labels" and any of
    the random numbers that are otherwise drawn: "discriminator_latents", "generator_latents",
    "path_latents" (B, latent size), "discriminator_labels", "generator_labels" (as "labels"),
    "path_noise" (B, H, W, C), "interpolation" (B, 1, 1, 1). An `ImageStream` may grow; every
    `fit` continues it after `images_shown` images.

    All random numbers come from seeds that are saved with the model: an interrupted training
    resumes exactly. Training runs in float32 and mixed_bfloat16. Under `MirroredStrategy` each
    replica draws its own noise; the replicas must divide every batch, and the groups of a minibatch
    standard deviation each replica's share, unless that is smaller than one group.

    Any networks with this protocol will do: `generator(latents)` returns images in [-1, 1],
    (B, H, W, C), or a list of them at several scales, and `discriminator(images)` takes the same
    and returns scores (B, 1). The generator's `get_config()` rebuilds it. With
    `mapping(latents)` -> (B, L, D) and `synthesis(styles)` it can mix styles and regularise path
    lengths. A growing pair has `stage`, a Python integer, and `alpha`, a variable. Networks with
    labels have `label_size`: then it is `generator(latents, labels)`, and `discriminator(images)`
    returns scores and logits (B, label size). A generator may name its settings in an attribute
    `paper`, see `AdversarialTraining.named`.

    Args:
        generator: `keras.Model` or layer.
        discriminator: `keras.Model` or layer.
        latent_size: Components of a latent vector. Defaults to `generator.latent_size`.
        seed: Seed of everything that training draws. Defaults to a random one.
        **kwargs: Of `keras.Model`.

    Attributes:
        ema_generator: Moving average of the generator, which `call` uses.
        label_size: Components of a label that both networks take, 0 for none.
        images_shown: Variable, scalar: real images seen so far, by all replicas.
        images_before: Variable, scalar: `images_shown` before the last step.
        steps: Variable, scalar: discriminator steps taken.
        settings: The `AdversarialTraining` set by `compile()`.
        planner: `StepPlanner`, which counts on the host and compiles each `Phase`.
        trained_stage: Stage that loaded weights were trained to, None where there are none.

    Raises:
        ValueError: If the latent size is unknown, the networks take different labels, or the
            generator's config does not rebuild it.

    Source: the training loops of arXiv 1710.10196, 1812.04948 and 1912.04958; labels (AC-GAN):
    arXiv 1610.09585 as in the released code of the first.

    Example:
        >>> generator = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4),
        ...                               keras.layers.Reshape((2, 2, 1))])
        >>> discriminator = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(),
        ...                                   keras.layers.Dense(1)])
        >>> model = AdversarialModel(generator, discriminator, latent_size=3)
        >>> model.compile("progan")
        >>> history = model.fit(np.zeros((8, 2, 2, 1), "uint8"), batch_size=4, verbose=0)
        >>> int(model.images_shown), model.predict(np.zeros((5, 3)), verbose=0).shape
        (8, (5, 2, 2, 1))
    """

    trained_stage, micro_batches = None, 1

    def __init__(self, generator, discriminator, latent_size=None, seed=None, **kwargs):
        # Latents and images are float32, whatever precision the networks compute in.
        super().__init__(dtype="float32", **{k: v for k, v in kwargs.items() if k != "dtype"})
        latent_size = latent_size or getattr(generator, "latent_size", None)
        if latent_size is None:
            raise ValueError(
                "latent_size must be given where the generator has no such attribute. "
                f"Received: latent_size=None, generator {generator.name}"
            )
        self.latent_size, self.seed = int(latent_size), seed
        self.generator, self.discriminator = generator, discriminator
        self.label_size = common_label_size(generator, discriminator)
        if not (generator.built and discriminator.built):
            inputs = [ops.zeros((1, size)) for size in (self.latent_size, self.label_size) if size]
            discriminator(generator(*inputs))
        self.ema_generator = averaged_copy(generator)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.images_shown = self._counter("images_shown")
        self.images_before = self._counter("images_before")
        self.steps = self._counter("steps")
        self.path_length_mean = self._counter("path_length_mean", "float32")
        self.settings, self.planner = None, StepPlanner(self, self.plan_of)
        self._trackers, self._rate_factors = [], (1.0, 1.0)
        self.built = True

    def _counter(self, name, dtype="int"):
        return self.add_weight(
            shape=(), initializer="zeros", dtype=dtype, trainable=False, name=name
        )

    def call(self, inputs):
        """Make images with the averaged generator.

        Args:
            inputs: Latents (B, latent size), standard normal; with labels, the tuple (latents,
                labels), labels (B,) or (B, label size); or, for a generator with styles, a dict
                of "w" (B, layers, w size) and "noise", a list of maps (1, h, w, 1).

        Returns:
            Tensor (B, H, W, C) in [0, 1], or a list of them, one per scale.
        """
        if isinstance(inputs, dict):
            images = self.ema_generator.synthesis(inputs["w"], inputs["noise"])
        else:
            images = self.ema_generator(*generator_inputs(inputs, self.label_size))
        return keras.tree.map_structure(lambda x: ops.clip((x + 1.0) / 2.0, 0.0, 1.0), images)

    def compile(
        self,
        settings=None,
        generator_optimizer=None,
        discriminator_optimizer=None,
        micro_batches=None,
        **kwargs,
    ):
        """Set how the pair is trained; by default as in the generator's paper.

        Args:
            settings: `AdversarialTraining`, or a name that `AdversarialTraining.named` knows.
                Defaults to those that the generator's `paper` names, else to ProGAN's.
            generator_optimizer: Keras optimizer in place of the settings' Adam. Neither it nor
                its learning rate is corrected for lazy penalties.
            discriminator_optimizer: Likewise.
            micro_batches: Number of parts in which the gradients of a batch are computed, one
                after another. The updates are those of the whole batch, but for relativistic
                losses, the groups of a minibatch standard deviation that do not divide the parts,
                a mean path length as a target, and random numbers that are drawn for each part.
                Defaults to that of the block `in_micro_batches`, or 1.
            **kwargs: `run_eagerly` and `jit_compile` of `keras.Model.compile`.

        Raises:
            ValueError: If the settings ask for what the networks or Keras' trainer cannot do, or
                there are other options.
        """
        settings = settings or getattr(self.generator, "paper", None) or AdversarialTraining()
        if isinstance(settings, str):
            settings = AdversarialTraining.named(settings)
        backend.refuse_multi_worker()
        check_settings(self, settings, kwargs)
        defaults = settings.optimizers()
        optimizers = OptimizerPair(
            generator_optimizer or defaults.generator,
            discriminator_optimizer or defaults.discriminator,
        )
        super().compile(optimizer=optimizers, auto_scale_loss=False, **kwargs)
        networks = (self.generator, self.discriminator)
        optimizers.build_for(*(network.trainable_variables for network in networks))
        self.settings, self._compile_options = settings, kwargs
        self.micro_batches = chosen_parts(micro_batches)
        self._rate_factors = (
            1.0 if generator_optimizer else settings.generator_correction,
            1.0 if discriminator_optimizer else settings.discriminator_correction,
        )
        names = logged_names(settings, self.label_size)
        self._trackers = [keras.metrics.Mean(name=name) for name in names]
        self.planner.reset()

    @property
    def has_styles(self):
        """Whether the generator has `mapping` and `synthesis`."""
        return hasattr(self.generator, "mapping") and hasattr(self.generator, "synthesis")

    @property
    def mixes_styles(self):
        """Whether the generator's batches mix the styles of two latents."""
        return self.settings.style_mixing > 0 and self.has_styles

    @property
    def metrics(self):
        return list(self._trackers)

    # Training: fit -> a compiled train_step for each phase -> compute_step -> AdversarialStep

    def fit(self, x=None, y=None, batch_size=None, *args, **kwargs):
        signature = inspect.signature(keras.Model.fit)
        options = signature.bind(self, x, y, batch_size, *args, **kwargs).arguments
        del options["self"]
        check_no_validation(options)
        check_arrays(self, x, y, batch_size, options.get("steps_per_epoch"))
        if hasattr(x, "start_at"):
            lead = {"lead": self.planner.lead} if self.planner.lead else {}
            x.start_at(self.planner.images()[1], **lead)
        if hasattr(x, "as_tf_dataset"):
            options.setdefault("shuffle", False)  # it is shuffled, and Keras' default warns
            if backend.backend() == "tensorflow":
                # Keras' own adapter holds every batch to the height and width of the first two.
                options["x"] = x.as_tf_dataset()
        return self.planner.fit(super().fit, **options)

    def evaluate(self, x=None, *args, **kwargs):
        raise NotImplementedError(f"{MEASURE} Received: evaluate() of {self.name}")

    def plan_of(self, step):
        """Phases of a step: lazy penalties make steps differ.

        Args:
            step: Number of the step, from 0.

        Returns:
            Tuple of `Phase`.
        """
        return phases_of(step, self.settings)

    def make_train_function(self, force=False):
        self.planner.make_train_function(super().make_train_function, force)

    def compute_step(self, data, calls):
        """Take the planner's phase of one step, in `keras.ops`; the last one counts the step.

        Args:
            data: Batch as the trainer gives it, see the class.
            calls: `GradientCalls` of the backend.

        Returns:
            Dict of scalar tensors: the running means of this epoch.
        """
        step = AdversarialStep(self, calls, read_batch(data, self.label_size))
        report = step.run(self.planner.phase)
        for tracker in self._trackers:
            if tracker.name in report:
                tracker.update_state(report[tracker.name])
        if self.planner.phase in (Phase.CRITIC, Phase.BOTH):
            self._count_step(step.batch_size, calls.replicas)
        return {tracker.name: tracker.result() for tracker in self._trackers}

    def _count_step(self, batch_size, replicas):
        images = ops.cast(batch_size, self.images_shown.dtype) * replicas
        decay, half_life = self.settings.ema_decay, self.settings.ema_half_life
        decay = decay if half_life is None else half_life_decay(images, half_life)
        update_average(self.ema_generator, self.generator, decay)
        self.images_before.assign(self.images_shown.value)
        self.images_shown.assign(self.images_shown + images)
        self.steps.assign(self.steps + 1)

    # Growing

    @property
    def _networks(self):
        return self.generator, self.discriminator, self.ema_generator

    def set_stage(self, stage):
        """Bring both networks and the average to a stage; the next step is compiled anew.

        Args:
            stage: Python integer, 0 for the base resolution. Setting the current stage again
                costs nothing.

        Raises:
            ValueError: If the networks do not grow.
        """
        for network in self._networks:
            if not hasattr(network, "stage"):
                raise ValueError(f"A growing network has a stage. Received: {network.name}")
        if all(network.stage == stage for network in self._networks):
            return
        for network in self._networks:
            network.stage = stage
        # What was traced at the last stage must not answer for this one.
        for owner in (self, *self._networks):
            if getattr(owner, "predict_function", None) is not None:
                owner.predict_function = None
        if self.train_function is not None:
            self.make_train_function(force=True)

    def set_alpha(self, alpha):
        """Set how far the stage is faded in; compiled steps remain.

        Args:
            alpha: Float in [0, 1].
        """
        assign(self, [network.alpha for network in self._networks], alpha)

    def set_learning_rates(self, generator, discriminator):
        """Set both learning rates; the settings' own optimizers get theirs corrected.

        Args:
            generator: Learning rate as the paper states it, before the correction for lazy
                penalties; None leaves it as it is.
            discriminator: Likewise.
        """
        pair = (self.optimizer.generator, self.optimizer.discriminator)
        rates = (generator, discriminator)
        for optimizer, rate, factor in zip(pair, rates, self._rate_factors, strict=True):
            if rate is not None:
                optimizer.learning_rate = rate * factor

    def reset_optimizers(self):
        """Reset the optimizers' moments and step counts, but not their learning rates."""
        self.optimizer.reset()

    # Saving

    def get_config(self):
        return {
            "generator": keras.saving.serialize_keras_object(self.generator),
            "discriminator": keras.saving.serialize_keras_object(self.discriminator),
            "latent_size": self.latent_size,
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for name in ("generator", "discriminator"):
            config[name] = keras.saving.deserialize_keras_object(config[name], custom_objects)
        return cls(**config)

    # Keras leaves seeds out of what it saves, and a loaded run would not draw what comes next.

    def save_own_variables(self, store):
        super().save_own_variables(store)
        for index, seed in enumerate(self._seeds):
            store[f"seed_{index}"] = backend.to_numpy(seed)

    def load_own_variables(self, store):
        seeds = {key: store[key] for key in store.keys() if key.startswith("seed_")}
        super().load_own_variables({key: store[key] for key in store.keys() if key not in seeds})
        for index, seed in enumerate(self._seeds):
            seed.assign(seeds[f"seed_{index}"])

    @property
    def _seeds(self):
        weights = {id(weight) for weight in self.weights}
        return [variable for variable in self.variables if id(variable) not in weights]

    def get_compile_config(self):
        if self.settings is None:
            return {}
        return {
            "settings": dataclasses.asdict(self.settings),
            "generator_optimizer": keras.optimizers.serialize(self.optimizer.generator),
            "discriminator_optimizer": keras.optimizers.serialize(self.optimizer.discriminator),
            "rate_factors": list(self._rate_factors),
            "micro_batches": self.micro_batches,
            "options": dict(self._compile_options),
        }

    def compile_from_config(self, config):
        settings = AdversarialTraining(**config["settings"])
        self.compile(
            settings,
            keras.optimizers.deserialize(config["generator_optimizer"]),
            keras.optimizers.deserialize(config["discriminator_optimizer"]),
            micro_batches=config.get("micro_batches", 1),
            **config.get("options", {}),
        )
        # Files written earlier do not say whose optimizers they hold: mostly the settings' own.
        corrections = (settings.generator_correction, settings.discriminator_correction)
        self._rate_factors = tuple(config.get("rate_factors", corrections))
