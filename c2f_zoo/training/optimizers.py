"""Optimizers that train alike on one device and on several."""

import keras
from keras import ops

from c2f_zoo import backend, checks


@keras.saving.register_keras_serializable(package="c2f_zoo")
class ClippedAdamW(keras.optimizers.AdamW):
    """AdamW whose gradients are first scaled down to a norm, that of all of them together.

    Under `tf.distribute` the norm is that of the gradient of the whole batch; the optimizers'
    own `global_clipnorm` clips each replica's share before they are added up.

    Args:
        learning_rate: Number or schedule.
        clip_norm: Largest norm of all gradients together, positive.
        **kwargs: Of `keras.optimizers.AdamW`, without `gradient_accumulation_steps`: the sum would
            be of parts that were clipped one by one. `compile(micro_batches=...)` of the zoo's
            models accumulates within a step, whose whole gradient is clipped.

    Raises:
        ValueError: If `clip_norm` is not a positive number, or gradients are to be accumulated.

    Example:
        >>> ClippedAdamW(4e-4, weight_decay=1e-4, clip_norm=1.0).clip_norm
        1.0
    """

    def __init__(self, learning_rate=1e-3, clip_norm=1.0, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        if self.gradient_accumulation_steps is not None:
            raise ValueError(
                "ClippedAdamW does not accumulate gradients over steps, whose parts would be "
                "clipped one by one: give compile micro_batches. Received: "
                f"gradient_accumulation_steps={self.gradient_accumulation_steps}"
            )
        self.clip_norm = checks.number("clip_norm", clip_norm, above=0)

    def apply(self, grads, trainable_variables=None):
        known = [g for g in grads if g is not None]
        summed, replicas = backend.sum_over_replicas(known)
        norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(g, "float32"))) for g in summed))
        # The replicas' gradients are summed once more when they are applied.
        scale = ops.minimum(1.0, self.clip_norm / (norm + 1e-6)) / replicas
        scaled = iter([g * ops.cast(scale, g.dtype) for g in summed])
        grads = [None if g is None else next(scaled) for g in grads]
        return super().apply(grads, trainable_variables)

    def get_config(self):
        return {**super().get_config(), "clip_norm": self.clip_norm}
