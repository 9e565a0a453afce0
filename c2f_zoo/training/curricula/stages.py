"""Sizes, lengths, batches and rates of the stages of a resolution schedule."""

import math

from c2f_zoo import checks

# Table 6 of EfficientNetV2: the first and last size, and each regularisation's least and most.
EFFICIENTNETV2 = {
    "s": (128 / 300, {"randaugment": (5, 15), "mixup": (0, 0), "dropout": (0.1, 0.3)}),
    "m": (128 / 380, {"randaugment": (5, 20), "mixup": (0, 0.2), "dropout": (0.1, 0.4)}),
    "l": (128 / 380, {"randaugment": (5, 25), "mixup": (0, 0.5), "dropout": (0.1, 0.5)}),
}
PRESETS = ("composer", *(f"efficientnetv2-{size}" for size in EFFICIENTNETV2))


def as_size(name, size):
    """(height, width) from these or one number for both."""
    if isinstance(size, (tuple, list)):
        return checks.whole_pair(name, size, least=1)
    return (checks.whole(name, size, least=1),) * 2


def rounded(length, multiple):
    """The nearest multiple of at least one, halves upwards."""
    return max(multiple, math.floor(length / multiple + 0.5) * multiple)


def equal_parts(count):
    """0 to 1 in as many equal steps."""
    return [stage / (count - 1) for stage in range(count)] if count > 1 else [1.0]


def divided(total, shares):
    """Whole numbers of images with these shares, one at least each, that add up to the total."""
    whole, ends = sum(shares), []
    for stage in range(len(shares)):
        end = math.floor(total * sum(shares[: stage + 1]) / whole + 0.5)
        # Room for one image in each stage before and after.
        end = max(end, (ends[-1] if ends else 0) + 1)
        ends.append(min(end, total - (len(shares) - 1 - stage)))
    return tuple(end - start for start, end in zip([0, *ends], ends, strict=False))


def equal_memory_batch(batch_size, size, last, divisor):
    """The largest batch that has no more pixels than the last stage's, which is as given."""
    if size == last:
        return batch_size
    pixels = batch_size * math.prod(last)
    return max(divisor, pixels // math.prod(size) // divisor * divisor)


def stage_rates(rate, bump, count):
    """The rate at the start of each stage: the first one times `bump` for each stage since."""
    if rate is None:
        if bump != 1.0:
            raise ValueError(f"bump needs a learning rate. Received: bump={bump}")
        return (None,) * count
    if isinstance(bump, (tuple, list)):
        factors = [checks.number("bump", factor, above=0) for factor in bump]
    else:
        factors = [checks.number("bump", bump, above=0) ** stage for stage in range(count)]
    return tuple(checks.number("learning_rate", rate, above=0) * factor for factor in factors)


def composer_stages(size, images, initial=0.5, delay=0.5, finetune=0.2, multiple=4):
    """Sizes and lengths of Composer's stages, one for each size that rounding distinguishes."""
    starts = {0}
    for length in size:
        # The scale initial + (1 - initial) * t has reached each half of a multiple.
        for number in range(math.floor(initial * length / multiple), length // multiple + 1):
            part = ((number + 0.5) * multiple / length - initial) / (1 - initial)
            if 0 < part < 1:
                starts.add(math.ceil(images * (delay + (1 - delay - finetune) * part)))
    starts.add(math.ceil(images * (1 - finetune)))
    starts = sorted(start for start in starts if start < images)
    sizes, lengths = [], []
    for start, end in zip(starts, [*starts[1:], images], strict=True):
        part = min(max((start / images - delay) / (1 - delay - finetune), 0.0), 1.0)
        scale = initial + (1 - initial) * part
        found = tuple(
            length if part == 1 else min(length, rounded(scale * length, multiple))
            for length in size
        )
        if sizes and sizes[-1] == found:
            lengths[-1] += end - start
        else:
            sizes.append(found)
            lengths.append(end - start)
    return sizes, lengths
