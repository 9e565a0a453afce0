"""What a generative training shows and keeps while it runs."""

import sys

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.backend import to_numpy
from c2f_zoo.metrics import FeatureDistances, SlicedWasserstein
from c2f_zoo.models import ProGAN
from c2f_zoo.training import (
    AdversarialModel,
    BestPreset,
    GrowthSchedule,
    ImageProgress,
    ProgressiveGrowth,
    SampleGrids,
)
from tests.training.adversarial.adversarial_toys import dense_pair


def make(resolution=8):
    model = ProGAN(resolution, latent_size=4, num_filters=(8, 6, 4)[: resolution // 8 + 1], seed=0)
    model.compile()
    return model


def images(count, size=8):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype("uint8")


def test_the_bar_counts_images_and_tells_the_phase_and_ends_training(capsys):
    schedule = GrowthSchedule.by_images(8, stabilise=8, fade=8, batch_sizes=4)
    model = make()
    bar = ImageProgress(schedule)
    growth = ProgressiveGrowth(schedule)
    model.fit(images(8), batch_size=4, epochs=50, verbose=0, callbacks=[growth, bar])
    assert int(model.images_shown) == schedule.total == 24
    shown = capsys.readouterr().err
    assert "24/24" in shown and "phase=stabilise" in shown and "size=8x8" in shown


def test_a_bar_of_more_images_continues_to_these():
    model = make()
    model.fit(images(8), batch_size=4, epochs=2, verbose=0, callbacks=[ImageProgress(16)])
    model.fit(images(8), batch_size=4, epochs=9, verbose=0, callbacks=[ImageProgress(20)])
    assert int(model.images_shown) == 20


@pytest.mark.parametrize("ends", [ImageProgress, ProgressiveGrowth])
def test_a_finished_run_shows_no_more_images(ends):
    schedule = GrowthSchedule.by_images(8, stabilise=4, fade=8, batch_sizes=4)
    model = make()
    model.fit(images(8), batch_size=4, epochs=2, verbose=0, callbacks=[ends(schedule)])
    assert int(model.images_shown) == schedule.total == 16
    weights = [to_numpy(weight) for weight in model.variables]
    model.fit(images(8), batch_size=4, epochs=9, verbose=0, callbacks=[ends(schedule)])
    assert int(model.images_shown) == int(model.steps) * 4 == 16
    for before, after in zip(weights, model.variables, strict=True):
        np.testing.assert_array_equal(before, to_numpy(after))
    model.train_on_batch(images(4))  # outside of fit nothing has ended
    assert int(model.images_shown) == 20


def test_grids_have_one_size_while_the_network_grows_and_make_a_film(tmp_path):
    schedule = GrowthSchedule.by_images(8, stabilise=8, fade=8, batch_sizes=4)
    grids = SampleGrids(tmp_path / "grids", every=8, n=5, film=tmp_path / "film.gif")
    model = make()
    callbacks = [ProgressiveGrowth(schedule), grids]
    model.fit(images(8), batch_size=4, epochs=50, verbose=0, callbacks=callbacks)
    files = sorted((tmp_path / "grids").iterdir())
    assert [int(file.stem.split("_")[1]) for file in files] == [8, 16, 24]
    assert {Image.open(file).size for file in files} == {(24, 16)}
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 3


def test_a_film_that_cannot_be_written_is_refused_before_training(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="end with one of .gif"):
        SampleGrids(tmp_path, film=tmp_path / "film.webm")
    with pytest.raises(ValueError, match="fps of a GIF must be .*Received: 60"):
        SampleGrids(tmp_path, film=tmp_path / "film.gif", fps=60)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ImportError, match="imageio-ffmpeg"):
        SampleGrids(tmp_path, film=tmp_path / "film.mp4")


def test_a_film_takes_the_grids_that_have_the_size_of_the_last(tmp_path):
    model, folder, film = make(), tmp_path / "grids", tmp_path / "film.gif"
    for n in (4, 9):
        grids = SampleGrids(folder, every=4, n=n, film=film)
        model.fit(images(8), batch_size=4, verbose=0, callbacks=[grids])
        other = SampleGrids(folder, n=n, height=10)  # neither comes into the film
        other.set_model(model)
        other.draw(10**6 + n)
        side = 8 * round(n**0.5)
        with Image.open(film) as written:
            assert (written.size, written.n_frames) == ((side, side), 2)
    assert len(list(folder.iterdir())) == 6


def test_a_film_that_fails_is_a_warning_and_fit_returns(tmp_path):
    (tmp_path / "film.gif").mkdir()
    grids = SampleGrids(tmp_path / "grids", every=4, n=4, film=tmp_path / "film.gif")
    with pytest.warns(UserWarning, match="No film was made of the grids in .*Received: "):
        history = make().fit(images(8), batch_size=4, verbose=0, callbacks=[grids])
    assert len(history.epoch) == 1 and len(list((tmp_path / "grids").iterdir())) == 2


def test_the_best_preset_is_kept_and_remembered(tmp_path):
    real = images(16, 16)

    def best():
        metric = SlicedWasserstein(patches_per_image=8, directions=8, repeats=1)
        return BestPreset(tmp_path / "best", metric, "swd", real, every=8)

    model, first = make(16), best()
    logs = model.fit(real, batch_size=8, epochs=2, verbose=0, callbacks=[first]).history
    # Measured twice an epoch, of which the log has the last.
    assert first.best <= min(logs["swd"]) and len(logs["swd"]) == 2
    loaded = ProGAN.from_pretrained(tmp_path / "best")
    assert loaded.resolution == (16, 16)
    again = best()
    again.set_model(model)
    again.on_train_begin()
    assert again.best == first.best


def test_what_no_metric_gives_cannot_be_monitored_and_is_refused_before_training(tmp_path):
    metric = SlicedWasserstein(patches_per_image=8, directions=8, repeats=1)
    best = BestPreset(tmp_path / "best", metric, "fid", images(8, 16), every=8)
    model = make(16)
    with pytest.raises(ValueError, match="swd_16, swd. Received: 'fid'"):
        model.fit(images(8, 16), batch_size=8, verbose=0, callbacks=[best])
    assert int(model.images_shown) == 0


def test_where_a_few_images_do_not_show_its_figures_the_first_measurement_does(tmp_path):
    metric = FeatureDistances(lambda batch: batch.mean(axis=(1, 2)), "precision_recall", 17)
    best = BestPreset(tmp_path / "best", metric, "fid", images(20, 8), every=8)
    model = make(8)
    with pytest.raises(ValueError, match="precision, recall. Received: 'fid'"):
        model.fit(images(8), batch_size=8, verbose=0, callbacks=[best])
    assert int(model.images_shown) == 8


@pytest.mark.parametrize("num_images", [0, -1, 9])
def test_no_more_images_are_measured_than_there_are(tmp_path, num_images):
    with pytest.raises(ValueError, match=f">= 1 and <= 8. Received: {num_images}"):
        BestPreset(tmp_path, SlicedWasserstein(), "swd", images(8, 16), num_images=num_images)


@pytest.mark.parametrize("shape", [(16, 16, 3), (8, 12, 3), (8, 8, 1)])
def test_real_images_have_the_size_of_the_grown_generator(tmp_path, shape):
    real = np.zeros((8, *shape), "uint8")
    best = BestPreset(tmp_path / "best", SlicedWasserstein(), "swd", real)
    model = make(8)
    model.set_stage(0)
    with pytest.raises(ValueError, match=rf"\(8, 8, 3\). Received: \({shape[0]}, {shape[1]}"):
        model.fit(images(8, 4), batch_size=8, verbose=0, callbacks=[best])
    assert int(model.images_shown) == 0


def test_real_images_have_the_size_that_any_generator_makes(tmp_path):
    best = BestPreset(tmp_path / "best", SlicedWasserstein(), "swd", images(8, 16))
    pair = AdversarialModel(*dense_pair(), seed=0)
    pair.save_pretrained = None  # BestPreset keeps none but those that have it
    best.set_model(pair)
    with pytest.raises(ValueError, match=r"\(2, 2, 1\). Received: \(16, 16, 3\)"):
        best.on_train_begin()


@pytest.mark.parametrize("options", [{"every": 0}, {"n": 0}])
def test_grids_need_a_number(tmp_path, options):
    with pytest.raises(ValueError, match="must be an integer >= 1"):
        SampleGrids(tmp_path, **options)


def test_grids_of_another_height_have_one_size_too(tmp_path):
    grids = SampleGrids(tmp_path, n=4, height=10)
    model = make()
    grids.set_model(model)
    for stage in (0, 1):
        model.set_stage(stage)
        grids.draw(stage)
    assert {Image.open(file).size for file in tmp_path.iterdir()} == {(20, 20)}


def test_grids_of_any_pair(tmp_path):
    from c2f_zoo.models import ProGANDiscriminator, ProGANGenerator

    options = {"label_size": 3, "num_filters": (4, 4)}
    pair = AdversarialModel(
        ProGANGenerator(8, latent_size=4, **options), ProGANDiscriminator(8, **options)
    )
    grids = SampleGrids(tmp_path, n=3)
    grids.set_model(pair)
    grids.draw(0)
    assert len(list(tmp_path.iterdir())) == 1
    best = BestPreset(tmp_path / "best", SlicedWasserstein(), "swd", images(8, 16))
    best.set_model(pair)
    with pytest.raises(TypeError, match="Received: AdversarialModel"):
        best.on_train_begin()


def test_the_monitored_figure_is_a_column_of_the_log_from_the_first_epoch(tmp_path):
    from keras.callbacks import CSVLogger

    metric = SlicedWasserstein(patches_per_image=8, directions=8, repeats=1)
    best = BestPreset(tmp_path / "best", metric, "swd", images(16, 16), every=16, num_images=8)
    log = tmp_path / "log.csv"
    make(16).fit(images(8, 16), batch_size=8, epochs=2, verbose=0, callbacks=[best, CSVLogger(log)])
    header, first, second = log.read_text().splitlines()
    column = header.split(",").index("swd")
    assert first.split(",")[column] == "nan" and float(second.split(",")[column]) == best.best
