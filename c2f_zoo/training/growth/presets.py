"""Growth schedules of the papers and of their released codes, by name."""

# Arguments of `GrowthSchedule.by_images`. A mapping says from which height on a value holds; below
# the first one listed the defaults of `by_images` hold: 16 images, a learning rate of 1e-3.
_PROGAN_V1 = {
    "stabilise": 800_000,
    "fade": 800_000,
    "batch_sizes": {4: 16, 256: 14, 512: 6, 1024: 3},
    "learning_rates": 1e-3,
    "total": 19_000_000,
}
_EIGHT_GPUS = {
    "batch_sizes": {4: 512, 8: 256, 16: 128, 32: 64, 64: 32},
    "learning_rates": {128: 1.5e-3, 256: 2e-3, 512: 3e-3},
}

# Samples in a group of the discriminator's minibatch standard deviation, as each was released with.
# The groups divide every batch, or are larger: the batches 14, 6 and 3 are one group each.
GROUP_SIZES = {
    "progan-paper": 16,
    "progan-v1-1gpu": 16,
    "progan-v2-1gpu": 4,
    "progan-v2-2gpu": 4,
    "progan-v2-4gpu": 4,
    "progan-v2-8gpu": 4,
    "stylegan-8gpu": 4,
}

# The rows of Karras et al.'s config.py (arXiv 1710.10196, released code), then that of StyleGAN
# (arXiv 1812.04948, released code), which begins at the second stage.
PRESETS = {
    "progan-paper": _PROGAN_V1,
    "progan-v1-1gpu": _PROGAN_V1,
    "progan-v2-1gpu": {
        "batch_sizes": {4: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4},
        "learning_rates": {1024: 1.5e-3},
        "total": 12_000_000,
    },
    "progan-v2-2gpu": {
        "batch_sizes": {4: 256, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8},
        "learning_rates": {512: 1.5e-3, 1024: 2e-3},
        "total": 12_000_000,
    },
    "progan-v2-4gpu": {
        "batch_sizes": {4: 512, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16},
        "learning_rates": {256: 1.5e-3, 512: 2e-3, 1024: 3e-3},
        "total": 12_000_000,
    },
    "progan-v2-8gpu": {**_EIGHT_GPUS, "total": 12_000_000},
    "stylegan-8gpu": {**_EIGHT_GPUS, "total": 25_000_000, "first_stage": 1},
}
