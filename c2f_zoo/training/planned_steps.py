"""Training steps that differ from one another, each kind compiled once."""

from c2f_zoo import backend


class PlannedSteps:
    """Mixin of a `keras.Model` whose steps follow a plan of their number.

    The model has a variable `steps`, which its step counts up, and defines `plan_of(step)`: a
    hashable plan of the step of that number. `train_step` reads `self._plan`; it is compiled once
    for each plan that occurs.
    """

    def _begin_planned_steps(self):
        """Call this in the constructor."""
        self._plan = None
        self._is_fitting = False
        self._compiled_steps = _CompiledSteps()

    def plan_of(self, step):
        """Give the plan of a step.

        Args:
            step: Number of the step, from 0.

        Returns:
            Anything hashable.
        """
        raise NotImplementedError

    def fit(self, *args, **kwargs):
        self._is_fitting = True
        try:
            return super().fit(*args, **kwargs)
        finally:
            self._is_fitting = False

    def make_train_function(self, force=False):
        # Called at the start of every fit. The number of the step is read anew then, since
        # weights may have been loaded.
        self._compiled_steps.count = None
        if self.train_function is None or force:
            self._compiled_steps.clear()
            self.train_function = self._run_step

    def _run_step(self, *args):
        if self._is_fitting and self.stop_training:
            # A callback ended the training before this step, when it began: Keras asks only
            # after a step. A finished run that is started again stays as it is.
            return ({}, args[0]) if backend.backend() == "jax" else {}
        steps = self._compiled_steps
        if steps.count is None:
            steps.count = self._steps_taken(args)
        self._plan = self.plan_of(steps.count)
        if self._plan not in steps.functions:
            steps.functions[self._plan] = self._compile_step()
        logs = steps.functions[self._plan](*args)
        steps.count += 1
        return logs

    def _steps_taken(self, args):
        if backend.backend() != "jax":
            return int(backend.to_numpy(self.steps))
        # On JAX the variables are empty during fit, and their values come as arguments.
        index = [variable is self.steps for variable in self.non_trainable_variables].index(True)
        return int(args[0][1][index])

    def _compile_step(self):
        """Have Keras compile the step of the plan at hand."""

        # jax.jit would take two bound methods of one object for the same function, and give the
        # trace of another plan.
        def train_step(*args):
            return type(self).train_step(self, *args)

        self.__dict__["train_step"] = train_step
        try:
            super().make_train_function(force=True)
            return self.train_function
        finally:
            del self.__dict__["train_step"]
            self.train_function = self._run_step


class _CompiledSteps:
    """The compiled step of each plan, and the number of the next one, kept from Keras' tracking."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.functions, self.count = {}, None
