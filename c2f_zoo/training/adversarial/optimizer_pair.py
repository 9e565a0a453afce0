"""Two optimizers that travel as one, because Keras' trainer knows of one."""

import keras

from c2f_zoo import backend


@keras.saving.register_keras_serializable(package="c2f_zoo")
class OptimizerPair(keras.optimizers.Optimizer):
    """The optimizers of a generator and of its discriminator.

    Its `variables` are those of both, so that both are saved with the model, donated to and
    returned from JAX' train step, and restored by `TrainingState`. The train step applies each
    by itself; `apply` of the pair would not know whose gradients it got.

    Args:
        generator: `keras.optimizers.Optimizer` of the generator.
        discriminator: `keras.optimizers.Optimizer` of the discriminator.
        name: Name.

    Raises:
        ValueError: One optimizer is given for both networks, or accumulates gradients.

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
                f"Each network needs an optimizer of its own. Received: {generator} for both"
            )
        for optimizer in (self.generator, self.discriminator):
            if optimizer.gradient_accumulation_steps:
                raise ValueError(
                    "A lazy penalty's step would count as a batch of the accumulation. Received: "
                    f"gradient_accumulation_steps={optimizer.gradient_accumulation_steps}"
                )

    def build(self, variables):
        raise TypeError(f"Call build_for(generator, discriminator). Received: {len(variables)}")

    def build_for(self, generator_variables, discriminator_variables):
        """Create the slots of both, and remember what they begin with.

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
        # Its own iterations and learning rate mean nothing.
        return [*self.generator.variables, *self.discriminator.variables]

    @property
    def learning_rate(self):
        """The generator's learning rate, which progress bars and TensorBoard show."""
        return self.generator.learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        raise TypeError(f"Set the rates of both networks by themselves. Received: {value}")

    def reset(self):
        """Forget everything but the learning rates, as ProGAN does when a layer comes or stays.

        Slots become what they began with: zero with most optimizers, 0.1 with Adagrad, and one of
        Nadam's is 1.
        """
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
    """Build an optimizer, and give the values that its variables begin with."""
    untouched = optimizer
    if optimizer.built:  # and perhaps used: a model may be compiled again with the same one
        untouched = type(optimizer).from_config(optimizer.get_config())
    untouched.build(variables)
    optimizer.build(variables)
    return tuple(_condensed(backend.to_numpy(variable)) for variable in untouched.variables)


def _condensed(values):
    """The one number that an array holds throughout, or a copy of the array."""
    first = values.ravel()[:1]
    return first[0] if first.size and (values == first).all() else values.copy()
