"""Shared parts of the restoration networks: inputs, training, `restore` and its like."""

import keras
from keras import ops

from c2f_zoo import backend, checks
from c2f_zoo.layers import pad_to_stride
from c2f_zoo.losses import SSIMLoss
from c2f_zoo.metrics import PSNR
from c2f_zoo.tasks.features import FeatureTask
from c2f_zoo.tasks.pixels import to_unit_range
from c2f_zoo.tasks.quantization import refuse_quantization
from c2f_zoo.tasks.restoration.images import run_on_image, run_on_images, run_on_pixels
from c2f_zoo.tasks.restoration.tiling import RestorationSpec
from c2f_zoo.training.micro_batches import MicroBatched


class RestorationTask(FeatureTask, MicroBatched):
    """Mixin that gives a restoration network its image level, its inputs and its training.

    The network defines `call` and, where they differ, these attributes: `time_embedding` and
    `mask` (whether it takes a time, or a mask of what is known), `scale`, `stride` (what images
    are padded to multiples of), `reach` (distance in input pixels beyond which nothing has an
    influence; None without limit) and `takes_size` (whether `call` accepts padded images).
    """

    time_embedding, mask = False, False
    scale, stride, reach = 1, 1, None
    takes_size = False
    quantize = refuse_quantization

    @property
    def image_spec(self):
        """`RestorationSpec` of this network."""
        features = getattr(self, "width", 32) / getattr(self, "patch", 1) ** 2
        kind = bool(self.mask), bool(self.time_embedding)
        return RestorationSpec(
            self.scale, self.stride, self.reach, *kind, features, self.takes_size
        )

    @property
    def image_verb(self):
        """Name of the method that fits this network: `"restore"`, `"upscale"` or `"inpaint"`."""
        return self.image_spec.verb

    @property
    def preset_task(self):
        """Task of a preset of this network, one of `c2f_zoo.hub`'s."""
        tasks = {"upscale": "super_resolution", "inpaint": "image_inpainting"}
        return tasks.get(self.image_verb, "image_restoration")

    # The image level

    def restore(
        self,
        image,
        time=None,
        tile=None,
        overlap=None,
        progress=None,
        output="numpy",
        on_error="raise",
    ):
        """Remove the noise or blur that the network was trained on.

        Args:
            image: Path, PIL image, `Picture` (from `read_picture`), or array (H, W), (H, W, 1 to
                4) of any size: uint8, uint16 (divided by 65535), bool, or float in [0, 1], where
                noise may leave that range. The EXIF orientation is applied. Or several: a list, an
                array (N, H, W, C), or a folder of image files.
            time: For a network with `time_embedding`, in [0, 1]: the share of noise in the image,
                or of the image if it was trained with `TimedNoise(reverse=True)`.
            tile: Side of the tiles in pixels of the input, or (height, width), rounded up to
                multiples of the network's stride; 0 for the image as a whole. Default: whole up
                to a megapixel of output, beyond that tiles.
            overlap: Pixels that neighbouring tiles share. Default: what makes tiles equal to the
                whole, as far as that is at most 128.
            progress: Whether to show a bar. Default: for several images or tiles, on a terminal.
            output: `"numpy"`, or `"pil"` for `PIL.Image.Image`s of 8 bits, which keep the colour
                profile of a file or PIL image.
            on_error: Of several images, whether one that cannot be read or restored raises
                (`"raise"`), or is None in the result, with a warning (`"skip"`).

        Returns:
            float32 array in [0, 1] of the image's kind: (H, W, 3), grey (H, W) (the mean of the
            network's three channels), and with the input's alpha as last channel (H, W, 4) or
            (H, W, 2). Of several images a list, in the order of the names for a folder; for an
            array (N, H, W, C) an array (N, ...). With `output="pil"` PIL images instead of arrays.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: The image is empty, unreadable, not finite or far outside [0, 1]; the time
                or the tiles are out of range; or the network has another verb.

        Warns:
            UserWarning: Float values are above 2 or below -1.

        Example:
            >>> from c2f_zoo.models import MultiscaleUNet
            >>> model = MultiscaleUNet(8, (1, 2), groups=4, attention=0, time_embedding=False)
            >>> model.restore(np.zeros((9, 14), "uint8")).shape
            (9, 14)
        """
        options = {"time": time, "tile": tile, "overlap": overlap, "output": output}
        spec = self.image_spec
        return run_on_images(self, spec, "restore", image, progress, on_error, **options)

    def upscale(
        self,
        image,
        time=None,
        tile=None,
        overlap=None,
        progress=None,
        output="numpy",
        on_error="raise",
    ):
        """Enlarge an image by the network's `scale`, its alpha bicubically.

        Args:
            image: As for `restore`.
            time: As for `restore`.
            tile: As for `restore`, in pixels of the input.
            overlap: As for `restore`, in pixels of the input.
            progress: As for `restore`.
            output: As for `restore`.
            on_error: As for `restore`.

        Returns:
            float32 array in [0, 1]: (scale * H, scale * W, 3), or of the image's kind as for
            `restore`; or a PIL image.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: As for `restore`.

        Example:
            >>> from c2f_zoo.models import SRParaConvNet
            >>> SRParaConvNet(4).upscale(np.zeros((9, 14, 3), "uint8")).shape
            (18, 28, 3)
        """
        options = {"time": time, "tile": tile, "overlap": overlap, "output": output}
        spec = self.image_spec
        return run_on_images(self, spec, "upscale", image, progress, on_error, **options)

    def inpaint(
        self, image, mask, depth=None, tile=None, overlap=None, progress=None, output="numpy"
    ):
        """Fill what a mask leaves out of an image; the rest stays as it is, to the bit.

        Deep holes are filled from coarse to fine: the image is halved, what is known averaged,
        until none is deeper than `depth` pixels; what was found deep inside a hole counts as known
        on the next mesh, where the network fills the rim.

        Args:
            image: One image as for `restore`; floats in [0, 1].
            mask: Path, PIL image or array (H, W), (H, W, 1) of the image's size and two values:
                True, 1 or white where the image is known, 0 or black where it is to be filled.
            depth: Pixels from what is known beyond which a hole is filled on coarser meshes first;
                0 for never. Default: 8 for a network of limited reach, else 0.
            tile: As for `restore`.
            overlap: As for `restore`.
            progress: As for `restore`.
            output: As for `restore`. A picture has 8 bits, and so may what is known.

        Returns:
            float32 array in [0, 1] of the image's kind, as for `restore`; or a PIL image.

        Raises:
            FileNotFoundError: A file does not exist.
            ValueError: As for `restore`; the mask is of another size, not binary, or leaves
                nothing known.

        Warns:
            UserWarning: A hole is larger than a network of limited reach fills well.

        Example:
            ```python
            filled = model.inpaint("photo.jpg", "mask.png")
            ```
        """
        options = {"tile": tile, "overlap": overlap, "progress": progress, "output": output}
        return run_on_image(self, self.image_spec, "inpaint", image, mask, depth=depth, **options)

    def restore_pixels(
        self, pixels, known=None, time=None, tile=None, overlap=None, progress=None, depth=None
    ):
        """Run the network over one array of any size, without limits to its values.

        Args:
            pixels: Array (H, W, 3) or grey (H, W, 1): float, or uint8 and uint16, which are
                scaled to [0, 1].
            known: bool array (H, W) for a network that takes a mask.
            time: As for `restore`.
            tile: As for `restore`.
            overlap: As for `restore`.
            progress: As for `restore`.
            depth: As for `inpaint`.

        Returns:
            float32 array (scale * H, scale * W, 3), not clipped.

        Raises:
            ValueError: The tiles, the time, the mask or the depth are not accepted.
        """
        tiles = {"tile": tile, "overlap": overlap, "progress": progress}
        return run_on_pixels(self, self.image_spec, pixels, known, time, depth, **tiles)

    # The tensor level

    def __call__(self, inputs, *args, **kwargs):
        self.check_inputs(inputs)  # before Keras, which wraps the errors of `call` in its own
        return super().__call__(inputs, *args, **kwargs)

    def check_inputs(self, inputs):
        """Raise a ValueError for inputs that the network does not take.

        Images (B, H, W, 3), or a pair of them and of times (B,) or masks (B, H, W, 1). Or a
        dictionary of `images`, `time` or `mask`, and `size`, the (height, width) of each image,
        shape (B, 2): its images are padded at the bottom and right (replicated), and results within
        `size` are those of the images without padding.
        """
        name, second = type(self).__name__, self._second
        if isinstance(inputs, dict):
            names = {"images", "size", *filter(None, [second])}
            if not self.takes_size or self.reach is None or set(inputs) != names:
                able = f"a dictionary of {sorted(names)}"
                if not self.takes_size or self.reach is None:
                    able = "no padded images, since every pixel depends on the whole image"
                raise ValueError(f"{name} takes {able}. Received: {sorted(inputs)}")
            inputs = (inputs["images"], inputs[second]) if second else inputs["images"]
        is_pair = isinstance(inputs, (list, tuple))
        if second and (not is_pair or len(inputs) != 2):
            received = f"{len(inputs)} of them" if is_pair else "images alone"
            raise ValueError(f"{name} takes a pair (images, {second}). Received: {received}")
        if not second and is_pair:
            raise ValueError(
                f"{name} without time_embedding or mask takes images alone. "
                f"Received: {len(inputs)} inputs"
            )
        images = inputs[0] if is_pair else inputs
        shape = tuple(images.shape)
        checks.shape(f"images of {name}", images, "(B, H, W, 3)", (*[checks.SOME] * 3, 3))
        dtype = keras.backend.standardize_dtype(images.dtype)
        if dtype != "uint8" and "float" not in dtype:
            raise ValueError(
                f"{name} takes images of uint8, or float in [0, 1]. Received: dtype {dtype}"
            )
        if second == "time":
            _check_times(name, inputs[1], shape)
        elif second == "mask":
            wanted = (*shape[:3], 1)
            checks.shape(f"masks of {name}", inputs[1], wanted, wanted)

    def split_inputs(self, inputs):
        """Convert what the network was called with, see `check_inputs`, to float32.

        Returns images (B, H, W, 3) in [0, 1]; times (B,), masks (B, H, W, 1) or None; and the int32
        size (B, 2) of padded images, or None.
        """
        size, condition = None, None
        if isinstance(inputs, dict):
            size = ops.cast(inputs["size"], "int32")
            images, condition = inputs["images"], inputs.get(self._second)
        elif self._second:
            images, condition = inputs
        else:
            images = inputs
        images = to_unit_range(ops.convert_to_tensor(images))
        if condition is not None:
            condition = ops.cast(ops.convert_to_tensor(condition), "float32")
        if self.time_embedding:
            condition = ops.reshape(condition, (-1,))
        return images, condition, size

    def feature_maps(self, inputs, training=None):
        self.check_inputs(inputs)
        images, condition, size = self.split_inputs(inputs)
        if size is not None:
            raise ValueError(
                f"The features of {type(self).__name__} are of images without a size. "
                f"Received: {sorted(inputs)}"
            )
        if self.mask:
            condition = pad_to_stride(condition, self.stride)
        return self._encode_padded(images, condition, training)

    @property
    def _second(self):
        return "time" if self.time_embedding else "mask" if self.mask else None

    def export(self, filepath, *args, input_signature=None, **kwargs):
        """Export for serving, as `keras.Model.export` does.

        Without an `input_signature` images (B, H, W, 3) have any size, with times (B,) or masks
        (B, H, W, 1) where the network takes them: for TensorFlow's SavedModel, the format that is
        tested. Other formats and backends need fixed sizes.
        """
        if input_signature is None:
            images = keras.InputSpec(shape=(None, None, None, 3), dtype="float32")
            shape = (None,) if self.time_embedding else (None, None, None, 1)
            condition = keras.InputSpec(shape=shape, dtype="float32")
            input_signature = [(images, condition)] if self._second else [images]
        return super().export(filepath, *args, input_signature=input_signature, **kwargs)

    def compile(self, optimizer=None, loss=None, metrics=None, **kwargs):
        """Compile; without arguments, for training as in the paper.

        Args:
            optimizer: Default: Adam with learning rate 5e-4; 1e-3 for super-resolution.
            loss: Default: mean squared error; for super-resolution `SSIMLoss("zero", offset=0)`.
            metrics: Default: `[PSNR()]`.
            **kwargs: Of `keras.Model.compile`, and `micro_batches`, see `MicroBatched`.
        """
        backend.refuse_multi_worker()
        enlarges = self.scale > 1
        if optimizer is None:
            optimizer = keras.optimizers.Adam(1e-3 if enlarges else 5e-4)
        if loss is None:
            loss = SSIMLoss("zero", offset=0) if enlarges else keras.losses.MeanSquaredError()
        metrics = [PSNR()] if metrics is None else metrics
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)

    def make_train_function(self, force=False):
        backend.build_optimizer(self)
        super().make_train_function(force)

    def compile_from_config(self, config):
        """Compile as a `.keras` file says, which Keras refuses to a class with a `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)


def _check_times(name, times, images):
    shape = tuple(times.shape)
    fits = len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)
    if not fits or (None not in (shape[0], images[0]) and shape[0] != images[0]):
        raise ValueError(
            f"{name} takes one time for each image, shape ({images[0]},). Received: shape {shape}"
        )
