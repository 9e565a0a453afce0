"""Two optimizers as one, since Keras' trainer takes only one."""

import keras

from c2f_zoo import backend


@keras.saving.register_keras_serializable(package="c2f_zoo")
class OptimizerPair(keras.optimizers.Optimizer):
    """The optimizers of a generator and of its discriminator.

    Its `variables` are those of both: both are saved with the model, travel through JAX's train
    step, and are restored by `TrainingState`. The train step applies each by itself.

    Args:
        generator: `keras.optimizers.Optimizer` of the generator.
        discriminator: `keras.optimizers.Optimizer` of the discriminator.
        name: Name.

    Raises:
        ValueError: If one optimizer is given for both networks, or accumulates gradients.

    Example:
        >>> pair = OptimizerPair(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(2e-3))
        >>> round(float(pair.discriminator.learning_rate), 4)
        0.002
    """

    def __init__(self, generator, discriminator, name="optimizer_pair"):
        super().__init__(learning_rate=0.0, name=name)
        self._initial = ()  # values of each optimizer's variables, once there are slots
        self.generator = keras.optimizers.get(generator)
        self.discriminator = keras.optimizers.get(discriminator)
        if self.generator is self.discriminator:
            raise ValueError(
                f"Each network needs its own optimizer. Received: {generator} for both"
            )
        for optimizer in (self.generator, self.discriminator):
            if optimizer.gradient_accumulation_steps:
                raise ValueError(
                    "The optimizers must not accumulate gradients, since a lazy penalty's step "
                    "would count as a batch: give compile micro_batches. Received: "
                    f"gradient_accumulation_steps={optimizer.gradient_accumulation_steps}"
                )

    def build(self, variables):
        raise TypeError(f"Call build_for(generator, discriminator). Received: {len(variables)}")

    def build_for(self, generator_variables, discriminator_variables):
        """Create the slots of both, and keep their initial values for `reset`.

        Args:
            generator_variables: List of Keras variables.
            discriminator_variables: List of Keras variables.
        """
        self._initial = (
            _built(self.generator, generator_variables),
            _built(self.discriminator, discriminator_variables),
        )
        self.built = True

    def apply(self, grads, trainable_variables=None):
        raise TypeError(
            "Apply `pair.generator` or `pair.discriminator`. "
            f"Received: {len(grads)} gradients for the pair"
        )

    @property
    def variables(self):
        # Not its own iterations and learning rate, which are unused.
        return [*self.generator.variables, *self.discriminator.variables]

    @property
    def learning_rate(self):
        """The generator's learning rate, which progress bars and TensorBoard show."""
        return self.generator.learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        raise TypeError(f"Set the learning rate of each optimizer. Received: {value}")

    def reset(self):
        """Reset everything but the learning rates, as ProGAN does when a fade begins or ends."""
        pair = (self.generator, self.discriminator)
        for optimizer, initial in zip(pair, self._initial, strict=False):
            rate = optimizer.learning_rate
            for variable, value in zip(optimizer.variables, initial, strict=True):
                if variable is not rate:
                    variable.assign(keras.ops.full(variable.shape, value, variable.dtype))

    def get_config(self):
        return {
            "generator": keras.optimizers.serialize(self.generator),
            "discriminator": keras.optimizers.serialize(self.discriminator),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def _built(optimizer, variables):
    """Build an optimizer and return the initial values of its variables: not all are zero."""
    untouched = optimizer
    if optimizer.built:  # and perhaps used: a model may be compiled again with the same one
        untouched = type(optimizer).from_config(optimizer.get_config())
    untouched.build(variables)
    optimizer.build(variables)
    return tuple(_condensed(backend.to_numpy(variable)) for variable in untouched.variables)


def _condensed(values):
    """The number that fills an array, or a copy of the array."""
    first = values.ravel()[:1]
    return first[0] if first.size and (values == first).all() else values.copy()
