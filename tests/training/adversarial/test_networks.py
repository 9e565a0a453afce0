"""The zoo's own networks, narrow and small, train as their papers do with nothing given."""

import keras
import numpy as np
import pytest

from c2f_zoo.backend import to_numpy
from c2f_zoo.models.gans import msg_progan, msg_stylegan, progan, stylegan, stylegan2
from c2f_zoo.training import AdversarialModel, AdversarialTraining

WIDTHS = (8, 8, 8)  # at 4x4, 8x8 and 16x16
LATENT = {"num_filters": WIDTHS, "latent_size": 8}
COARSE = {"num_filters": (8, 8)}
PAIRS = {
    "progan": lambda: (
        progan.ProGANGenerator(16, **LATENT),
        progan.ProGANDiscriminator(16, num_filters=WIDTHS),
    ),
    "stylegan": lambda: (
        stylegan.StyleGANGenerator(16, w_size=8, **LATENT),
        stylegan.StyleGANDiscriminator(16, num_filters=WIDTHS),
    ),
    "stylegan2": lambda: (
        stylegan2.StyleGAN2Generator(16, w_size=8, **LATENT),
        stylegan2.StyleGAN2Discriminator(16, num_filters=WIDTHS),
    ),
    "msg-stylegan": lambda: (
        msg_stylegan.MSGStyleGANGenerator(8, w_size=8, mapping_depth=2, **COARSE, latent_size=8),
        msg_stylegan.MSGStyleGANDiscriminator(8, **COARSE),
    ),
    "msg-progan": lambda: (
        msg_progan.MSGGenerator(16, **LATENT),
        msg_progan.MSGDiscriminator(16, num_filters=WIDTHS),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_every_pair_takes_a_step_of_its_paper(name):
    keras.utils.set_random_seed(0)
    model = AdversarialModel(*PAIRS[name](), seed=0)
    model.compile()
    assert model.settings == AdversarialTraining.named(name)
    if hasattr(model.generator, "stage"):
        model.set_stage(2)
        model.set_alpha(0.5)
    before = [to_numpy(weight) for weight in model.trainable_variables]
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype("uint8")
    logs = model.train_on_batch(images, return_dict=True)
    assert np.isfinite(list(logs.values())).all()
    after = [to_numpy(weight) for weight in model.trainable_variables]
    assert all(np.isfinite(weight).all() for weight in after)
    moved = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert sum(moved) > len(moved) / 2  # of the stages in use, those of others stand still
