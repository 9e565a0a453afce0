"""Training steps of several phases: one compiled function for each phase."""

import functools

from c2f_zoo import backend
from c2f_zoo.training.steps import run_phases, skip_step, variable_value


class StepPlanner:
    """Chooses the phases of each step of `fit` by its number; each is compiled by itself.

    All phases of a step take its batch, one after another. What they log is what the last returns.

    It also counts on the host, so that a callback need not wait for the device, nor on JAX have
    the whole state of the model copied back, to learn how far training is.

    A model holds a planner and calls its `make_train_function` and `fit` from its own methods of
    these names. Its `train_step` reads `phase`.

    Args:
        model: `keras.Model` with a scalar variable `steps`, which its step counts up, and perhaps
            a scalar variable `images_shown`, to which its step adds the size of the batch.
        plan_of: Function of a step's number, from 0, that returns its phases, a sequence of
            anything hashable.

    Attributes:
        phase: Phase that is being taken or compiled.
        lead: Batches that the next `fit` takes without a step, since `TrainingState` resumes in the
            middle of an epoch; a stream that begins with the next sample repeats its first batch.
        skips: How many of these are left.
    """

    def __init__(self, model, plan_of):
        self.model, self.plan_of, self.phase = model, plan_of, None
        self.lead = self.skips = 0
        self.is_fitting, self.compile_step = False, None
        self.reset()

    def reset(self):
        """Forget all compiled functions, and what was counted."""
        self.functions, self.counts = {}, None

    def make_train_function(self, compile_step, force=False):
        """Stand in for Keras' method, given as `compile_step`, which compiles the `train_step`."""
        self.compile_step = compile_step
        if not force:
            # The start of a fit, since when weights may have been loaded.
            self.counts = None
        if self.model.train_function is None or force:
            self.functions = {}
            self.model.train_function = self.run

    def fit(self, fit, *args, **kwargs):
        """Call Keras' `fit`; a callback can end training before the first step too."""
        self.is_fitting = True
        try:
            return fit(*args, **kwargs)
        finally:
            self.is_fitting, self.counts = False, None
            self.lead = self.skips = 0

    def run(self, *args):
        """Take a step; Keras' trainer calls this as its `train_function`."""
        if self.counts is None:
            # On JAX the model's own variables are empty while it is fitted.
            names = ("steps", "images_before", "images_shown")
            self.counts = {name: self._value(name, args) for name in names}
        if self.is_fitting and self.model.stop_training:
            # Keras asks whether to stop only after a step. A finished run that is started again
            # is to stay as it is.
            return ({}, args[0]) if backend.backend() == "jax" else {}
        if self.skips:
            self.skips -= 1
            return skip_step(self.model, *args)
        phases = self.plan_of(self.counts["steps"])
        results, samples = run_phases(self.model, self._function_of, phases, *args)
        self._count(samples)
        return results

    def _function_of(self, phase):
        self.phase = phase
        if phase not in self.functions:
            self.functions[phase] = self._compile()
        return self.functions[phase]

    def images(self):
        """Images shown before the last step and now; while `fit` runs, as counted on the host."""
        counts = self.counts if self.is_fitting else None
        if counts is None or counts.get("images_before") is None:
            return _number(self.model.images_before), _number(self.model.images_shown)
        return counts["images_before"], counts["images_shown"]

    def _count(self, samples):
        counts = self.counts
        counts["steps"] += 1
        if samples is None:
            counts["images_before"] = counts["images_shown"] = None
        if counts["images_shown"] is not None:
            counts["images_before"] = counts["images_shown"]
            counts["images_shown"] += samples

    def _value(self, name, args):
        variable = getattr(self.model, name, None)
        return None if variable is None else int(variable_value(self.model, variable, args))

    def _compile(self):
        """Have Keras compile the model's `train_step` for the phase at hand."""
        model = self.model
        # A function of its own: jax.jit takes two bound methods of one object for the same
        # function, and would return the trace of another phase.
        model.train_step = functools.partial(type(model).train_step, model)
        try:
            self.compile_step(force=True)
            return model.train_function
        finally:
            del model.train_step
            model.train_function = self.run


def model_of(callback):
    """Return the callback's model. With a planner, read only counters kept on the host.

    `callback.model` would have JAX copy the whole state back into the model, at every step.
    """
    model = callback._model
    return model if hasattr(model, "planner") else callback.model


def images_of(callback):
    """Images that the model of a callback was shown before its last step, and until now."""
    model = model_of(callback)
    if hasattr(model, "planner"):
        return model.planner.images()
    return _number(getattr(model, "images_before", 0)), _number(model.images_shown)


def _number(variable):
    return int(backend.to_numpy(variable))
