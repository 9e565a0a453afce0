"""What a `.keras` file may name, so that `import c2f_zoo` alone is enough to load one.

Keras looks a class of ours up in its custom objects, where the class's module puts it, and the
zoo's modules are imported only when they are used. So once Keras is imported, each name gets a
stand-in there that imports the module when Keras builds the object. The module's own registration
then replaces the stand-in.
"""

import importlib
import sys

# Name in Keras (after "c2f_zoo>") and the module that registers it. A test compares it with the
# source and prints what is missing.
MODULES = {
    "AbsoluteRelativeError": "metrics.depth",
    "AdaIN": "layers.adain",
    "AdversarialModel": "training.adversarial.model",
    "AngularError": "metrics.flow",
    "BadPixelRate": "metrics.stereo",
    "BaseMap": "models.gans.parts",
    "ClippedAdamW": "training.optimizers",
    "Conv2D": "layers.convolution",
    "Conv2DTranspose": "layers.convolution",
    "Conv3D": "layers.convolution3d",
    "Conv3DTranspose": "layers.convolution3d",
    "DepthAccuracy": "metrics.depth",
    "DepthRMSE": "metrics.depth",
    "DepthUNet": "models.depth.depth_unet",
    "DiscriminatorHead": "models.gans.parts",
    "DisparityError": "metrics.stereo",
    "EndPointError": "metrics.flow",
    "Epilogue": "models.gans.stylegan",
    "EqualizedConv2D": "layers.equalized",
    "EqualizedDense": "layers.equalized",
    "FeatureExtractor": "tasks.features",
    "Halving": "training.schedules",
    "InceptionV3Features": "models.inception.inception",
    "LayerwiseCurriculum": "training.curricula.layerwise",
    "LogDepthRMSE": "metrics.depth",
    "MSGDiscriminator": "models.gans.msg_progan",
    "MSGGAN": "models.gans.msggan",
    "MSGGenerator": "models.gans.msg_progan",
    "MSGStyleGANDiscriminator": "models.gans.msg_stylegan",
    "MSGStyleGANGenerator": "models.gans.msg_stylegan",
    "MSSSIM": "metrics.image_quality",
    "MappingNetwork": "models.gans.style_based",
    "MinibatchStddev": "layers.minibatch_stddev",
    "MixtureOfLaplaceLoss": "losses.laplace",
    "ModulatedConv2D": "layers.modulated_convolution",
    "MultilevelSmoothL1": "losses.stereo",
    "MultiscaleDepthLoss": "losses.depth",
    "MultiscaleEndPointError": "losses.flow",
    "MultiscaleRobust": "losses.flow",
    "MultiscaleUNet": "models.restoration.multiscale_unet",
    "NoiseInjection": "layers.noise_injection",
    "OneCycle": "training.schedules",
    "OptimizerPair": "training.adversarial.optimizer_pair",
    "OutlierRate": "metrics.flow",
    "PSMNet": "models.psmnet.psmnet",
    "PSMNetLite": "models.psmnet.lite",
    "PSNR": "metrics.image_quality",
    "PWCNet": "models.pwcnet.pwcnet",
    "PWCNetLite": "models.pwcnet.lite",
    "PiecewiseCosine": "training.schedules",
    "PixelNorm": "layers.pixel_norm",
    "ProGAN": "models.gans.progan",
    "ProGANDiscriminator": "models.gans.progan",
    "ProGANGenerator": "models.gans.progan",
    "RAFT": "models.raft.raft",
    "RestorationResNet": "models.restoration.networks",
    "SRParaConvNet": "models.restoration.networks",
    "SSIM": "metrics.image_quality",
    "SSIMLoss": "losses.similarity",
    "ScaleInvariantLogError": "metrics.depth",
    "SequenceLoss": "losses.sequence",
    "SquaredRelativeError": "metrics.depth",
    "StyleGAN": "models.gans.stylegan",
    "StyleGAN2": "models.gans.stylegan2",
    "StyleGAN2Discriminator": "models.gans.stylegan2",
    "StyleGAN2Generator": "models.gans.stylegan2",
    "StyleGANDiscriminator": "models.gans.stylegan",
    "StyleGANGenerator": "models.gans.stylegan",
    "StyledConvolution": "models.gans.style_based",
    "StyledRGB": "models.gans.style_based",
    "TimeFeatures": "layers.time_embedding",
    "Upsampling": "layers.resampling",
    "WarmupPlateauCosine": "training.schedules",
    "leaky_relu": "models.pwcnet.blocks",
    "scaled_leaky_relu": "layers.equalized",
}


class _StandIn:
    """Stands for a class in Keras' custom objects until its module is imported."""

    def __init__(self, name):
        self.__name__ = name

    def _load(self):
        return getattr(importlib.import_module(f"c2f_zoo.{MODULES[self.__name__]}"), self.__name__)

    def from_config(self, *args, **kwargs):
        return self._load().from_config(*args, **kwargs)

    def __call__(self, *args, **kwargs):
        return self._load()(*args, **kwargs)


def _stand_in(name):
    stand_in = _StandIn(name)
    if not name.islower():
        return stand_in

    def function(*args, **kwargs):  # Keras tells functions by their type
        return stand_in(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    return function


def _register(keras):
    known = keras.saving.get_custom_objects()
    for name in MODULES:
        if f"c2f_zoo>{name}" in known:
            continue
        stand_in = _stand_in(name)
        if name.islower():  # so that a model which holds the function can be saved again
            keras.saving.register_keras_serializable("c2f_zoo")(stand_in)
        else:
            known[f"c2f_zoo>{name}"] = stand_in


class _KerasFinder:
    """Finds Keras as Python would without it, and registers the names once Keras is loaded."""

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        finders = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (find.find_spec(name, path, target) for find in finders)), None)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module):
            execute(module)
            if module.__name__ == name:
                _register(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)

        spec.loader.exec_module = execute_and_register
        return spec


def register():
    """Register the names with Keras, at once or, where it is not imported yet, when it is.

    Example:
        >>> register()
        >>> import keras
        >>> "c2f_zoo>PWCNet" in keras.saving.get_custom_objects()
        True
    """
    keras = sys.modules.get("keras")
    if hasattr(keras, "saving"):
        _register(keras)
    elif not any(isinstance(finder, _KerasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasFinder())
