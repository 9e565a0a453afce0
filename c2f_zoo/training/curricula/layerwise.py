"""Learning rates that begin high near the input and reach the layers behind it in turn (LeRaC)."""

import math
import re

import keras
import numpy as np
from keras import ops

from c2f_zoo import checks


@keras.saving.register_keras_serializable(package="c2f_zoo")
class LayerwiseCurriculum(keras.optimizers.Optimizer):
    """An optimizer whose learning rate each group of layers reaches in its own time.

    With the base rate `eta(t)` of the optimizer within, group `j` of `n`, from the input (1) to
    the output, has at step `t` the rate `m_j(t) * eta(t)`, where `m_j(0)` = `r_j` <= 1 and

        smooth:     m_j(t) = r_j^(1 - t / k)                       for t < k, 1 from then on;
        staircase:  m_j(t) = min(1, r_j * factor^floor(t / every)).

    The first is the paper's `eta_j(0) * c^((t / k) * (log_c eta_j(k) - log_c eta_j(0)))` with
    all `eta_j(k)` equal, whatever c; the second its released code's. `r_j` is geometric over the
    groups by default: `lowest^((j - 1) / (n - 1))`.

    The optimizer within computes its step `w -> u(w)` as ever, and `w + m_j(t) * (u(w) - w)` is
    what the variables become. So moments are those of the raw gradients, as with per-group rates
    in PyTorch; scaled gradients would leave Adam's step as it is. Weight decay is scaled with the
    step. From `t = k` on the steps are those of the optimizer within, bit by bit.

    Steps are counted by a variable, so a resumed run goes on where it was.

    Args:
        optimizer: `keras.optimizers.Optimizer` or its name, without `use_ema` and
            `gradient_accumulation_steps`: give these to the curriculum.
        steps: Number of steps, k, after which all rates are the base rate.
        lowest: Share of the base rate that the last group begins with, in (0, 1].
        groups: Regular expressions for the paths of variables, such as `"block1/.*"`, the group at
            the input first; each is sought within the path, and the first that is found counts.
            By default each layer with weights is a group, in the order of the model's variables.
        initial: `r_j` of each group, never rising, in place of `lowest`.
        factor: Factor of each stair, > 1 (the released code's is 10); None: smooth.
        every: Steps between stairs; by default such that the last group arrives by step k.
        use_ema: Whether an average of the weights is kept, as of `keras.optimizers.Optimizer`.
        **kwargs: Others of `keras.optimizers.Optimizer`, such as `ema_momentum`.

    Raises:
        ValueError: If a value is out of range. When it is built: if a variable is in no group, a
            group is empty, or `initial` has not one value for each.

    Source: Croitoru et al., LeRaC: Learning Rate Curriculum, arXiv 2205.09180, and the
    released code.

    Example:
        >>> sgd = keras.optimizers.SGD(0.1, momentum=0.9)
        >>> curriculum = LayerwiseCurriculum(sgd, steps=100, lowest=1e-4)
        >>> curriculum.build([keras.Variable([0.0], name=name) for name in ("a", "b", "c")])
        >>> [[round(float(m), 6) for m in curriculum.factors(step)] for step in (0, 50, 100)]
        [[1.0, 0.01, 0.0001], [1.0, 0.1, 0.01], [1.0, 1.0, 1.0]]
    """

    def __init__(
        self,
        optimizer,
        steps,
        lowest=1e-4,
        groups=None,
        initial=None,
        factor=None,
        every=None,
        use_ema=False,
        **kwargs,
    ):
        inner = keras.optimizers.get(optimizer)
        if inner.use_ema or inner.gradient_accumulation_steps:
            raise ValueError(
                "use_ema and gradient_accumulation_steps are to be given to LayerwiseCurriculum, "
                "which would otherwise scale parts of a step. "
                f"Received: an optimizer with use_ema={inner.use_ema} and "
                f"gradient_accumulation_steps={inner.gradient_accumulation_steps}"
            )
        kwargs.pop("learning_rate", None)  # in saved configurations
        super().__init__(learning_rate=0.0, use_ema=use_ema, **kwargs)
        self.optimizer = inner
        self.total = checks.whole("steps", steps, least=1)
        self.lowest = checks.number("lowest", lowest, above=0, most=1)
        self.groups = None if groups is None else list(groups)
        self.initial = None if initial is None else self._checked(initial)
        self.factor = None if factor is None else checks.number("factor", factor, above=1)
        self.every = None if every is None else checks.whole("every", every, least=1)
        if every is not None and factor is None:
            raise ValueError(f"every is for stairs, which need a factor. Received: every={every}")

    @staticmethod
    def _checked(initial):
        initial = [checks.number("initial", value, above=0, most=1) for value in initial]
        if any(b > a for a, b in zip(initial, initial[1:], strict=False)):
            raise ValueError(
                "initial must not rise from the group at the input to that at the output. "
                f"Received: {initial}"
            )
        return initial

    def build(self, variables):
        """Create the variables of the optimizer within, and put the model's into groups."""
        if self.built:
            return
        self.optimizer.build(variables)
        names, self._group_of = self._grouped([getattr(v, "path", v.name) for v in variables])
        count = len(names)
        starts = self.initial
        if starts is None:
            starts = (
                [self.lowest ** (j / (count - 1)) for j in range(count)] if count > 1 else [1.0]
            )
        if len(starts) != count:
            raise ValueError(
                f"initial must have one value for each of the {count} groups {names}. "
                f"Received: {len(starts)} values"
            )
        self.group_names, self._logs = names, np.log(np.array(starts, "float64"))
        super().build(variables)

    def _grouped(self, paths):
        """Names of the groups, and the group's number of each variable."""
        if self.groups is None:
            owners = [path.rpartition("/")[0] or path for path in paths]
            names = list(dict.fromkeys(owners))
            return names, [names.index(owner) for owner in owners]
        found = [
            next((n for n, group in enumerate(self.groups) if re.search(group, path)), None)
            for path in paths
        ]
        if None in found:
            lost = [path for path, group in zip(paths, found, strict=True) if group is None]
            raise ValueError(f"groups must take in every variable. Received: none for {lost}")
        empty = [group for n, group in enumerate(self.groups) if n not in found]
        if empty:
            raise ValueError(f"Each of groups must find a variable. Received: none for {empty}")
        return self.groups, found

    @property
    def _stairs(self):
        """Number of stairs of each group, and steps between them."""
        stairs = np.ceil(-self._logs / math.log(self.factor) - 1e-9)
        return stairs, self.every or max(1, self.total // max(1, int(stairs.max())))

    def factors(self, step):
        """The share of the base rate that each group has at a step.

        Args:
            step: Number of the step, from 0: an integer, or a scalar tensor.

        Returns:
            Array (n,), float64, or of a tensor a float32 tensor (n,), in the order of
            `group_names`.
        """
        is_number = isinstance(step, (int, np.integer))
        library, logs = (np, self._logs) if is_number else (ops, _tensor(self._logs))
        if self.factor is None:
            share = step / self.total if is_number else ops.cast(step, "float32") / self.total
            return library.exp(logs * library.maximum(1.0 - share, 0.0))
        stairs, every = self._stairs
        done = step // every
        if not is_number:
            done, stairs = ops.cast(done, "float32"), _tensor(stairs)
        # By whole stairs, or rounding would leave the rate a little below the base rate for ever.
        risen = library.minimum(logs + done * math.log(self.factor), 0.0)
        return library.exp(library.where(done >= stairs, 0.0, risen))

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        before = [ops.copy(ops.convert_to_tensor(v)) for v in trainable_variables]
        shares = self.factors(self.iterations)
        self.optimizer.apply(grads, trainable_variables)
        for variable, old in zip(trainable_variables, before, strict=True):
            share = shares[self._group_of[self._get_variable_index(variable)]]
            new = ops.convert_to_tensor(variable)
            # Not old + share * (new - old), which rounds where the share is 1.
            back = ops.cast(1.0 - share, new.dtype) * (new - old)
            variable.assign(new - back)

    @property
    def variables(self):
        """Variables of the curriculum and of the optimizer within."""
        return [*super().variables, *self.optimizer.variables]

    @property
    def learning_rate(self):
        """Base rate, that of the optimizer within; it can be set."""
        return self.optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        self.optimizer.learning_rate = learning_rate

    def get_config(self):
        """The constructor's arguments, in types that JSON knows."""
        config = super().get_config()
        own = ("lowest", "groups", "initial", "factor", "every")
        return {
            **{key: value for key, value in config.items() if key != "learning_rate"},
            "optimizer": keras.optimizers.serialize(self.optimizer),
            "steps": self.total,
            **{key: getattr(self, key) for key in own},
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Build an optimizer from the result of `get_config`."""
        inner = keras.optimizers.deserialize(config["optimizer"], custom_objects)
        return cls(**{**config, "optimizer": inner})


def _tensor(array):
    return ops.convert_to_tensor(array, dtype="float32")
