"""Applying a growth schedule to an adversarial model while it is fitted."""

import warnings

import keras

from c2f_zoo.training.adversarial.checks import check_growth
from c2f_zoo.training.planned_steps import images_of, model_of


class ProgressiveGrowth(keras.callbacks.Callback):
    """Grows an `AdversarialModel` inside one ordinary `fit`, as a schedule says.

    Before each batch it sets stage, alpha and, where the schedule has any, learning rates; where a
    fade begins or ends it resets the optimizers; once the schedule is done it ends training. All
    its state is in the model's variables: an interrupted run resumes exactly, in the middle of a
    fade too. Logs get `images`, `resolution` (the height) and `alpha`.

    Place it before callbacks that save or draw. It warns where batches are not of the schedule's
    sizes, which an `ImageStream` of the same schedule serves.

    Args:
        schedule: `GrowthSchedule`, or anything with its `at(images)`, which gives `stage`,
            `resolution`, `alpha`, `phase`, `g_learning_rate` and `d_learning_rate`, and
            `resets_between(before, after)`.

    Raises:
        TypeError: From `fit`, if the model is no `AdversarialModel` of growing networks.
        ValueError: From `fit`, if the schedule's resolutions are not the generator's first ones,
            the discriminator's groups (`group_size`) do not divide a phase's batch, or the
            schedule begins below the resolution that a preset was trained to.

    Source: Karras et al., arXiv 1710.10196, section 2 and appendix A; optimizers reset as in its
    released code.

    Example:
        ```python
        schedule = GrowthSchedule.by_images(64, stabilise=600_000, fade=600_000)
        cache = ImageCache.from_folder("pictures", resolution=64)
        stream = ImageStream(cache, schedule)
        growth = ProgressiveGrowth(schedule)  # ends training long before the last epoch
        model.fit(stream, steps_per_epoch=500, epochs=100_000, callbacks=[growth])
        ```
    """

    def __init__(self, schedule):
        super().__init__()
        self.schedule, self.applied, self.has_warned = schedule, None, False

    def on_train_begin(self, logs=None):
        model = self.model
        growing = ("set_stage", "set_alpha", "set_learning_rates", "reset_optimizers")
        if not all(hasattr(model, name) for name in growing):
            raise TypeError(
                "ProgressiveGrowth grows an AdversarialModel. "
                f"Received: {type(model).__name__} {model.name}"
            )
        check_growth(model, self.schedule)
        self.applied, self.has_warned = None, False
        # Before the first trace, or a stage that is not trained would be compiled.
        self._apply()
        if self.schedule.at(images_of(self)[1]).phase == "done":
            model.stop_training = True

    def on_train_batch_begin(self, batch, logs=None):
        self._apply()

    def on_train_batch_end(self, batch, logs=None):
        self._compare_batch()
        state = self.schedule.at(self._report(logs))
        if state.phase == "done":
            # No step follows that would do this, and a schedule may end with a fade.
            self.model.set_stage(state.stage)
            self.model.set_alpha(state.alpha)
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        self._report(logs)

    def _apply(self):
        before, images = images_of(self)
        state = self.schedule.at(images)
        rates = (state.g_learning_rate, state.d_learning_rate)
        stage, alpha, old_rates = self.applied or (None, None, None)
        # Only where they change: on JAX `self.model` copies the whole state into the model.
        if state.stage != stage:
            self.model.set_stage(state.stage)
        if rates != old_rates:
            self.model.set_learning_rates(*rates)
        if state.alpha != alpha:
            model_of(self).set_alpha(state.alpha)
        self.applied = (state.stage, state.alpha, rates)
        # Nothing is kept here between batches: a run that is resumed between the last step of a
        # phase and the first of the next resets just as the unbroken one does.
        if self.schedule.resets_between(before, images):
            self.model.reset_optimizers()

    def _compare_batch(self):
        before, images = images_of(self)
        # A schedule of somebody's own may leave the size to whoever makes the batches.
        expected = getattr(self.schedule.at(before), "batch_size", None)
        if self.has_warned or images == before or expected in (None, images - before):
            return
        self.has_warned = True
        warnings.warn(
            "Batches are not of the schedule's sizes. An ImageStream serves these: "
            "fit(ImageStream(cache, schedule), steps_per_epoch=...). "
            f"Received: a batch of {images - before}, not {expected}, after {before} images",
            stacklevel=2,
        )

    def _report(self, logs):
        before, images = images_of(self)
        state = self.schedule.at(before)
        if logs is not None:
            logs.update(images=images, resolution=state.resolution[0], alpha=state.alpha)
        return images
