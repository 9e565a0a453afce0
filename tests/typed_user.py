"""A user's script: what `tests/test_package.py` has a type checker read."""

from typing import assert_type

import keras
import numpy as np

import c2f_zoo
from c2f_zoo import DepthUNet, ProGAN, PWCNet, PWCNetLite, create_model, list_presets
from c2f_zoo.data import FlowStream, Scenes, open_flow_dataset
from c2f_zoo.hub import PresetInfo, PresetList, load
from c2f_zoo.losses import MultiscaleRobust
from c2f_zoo.metrics import flow_metrics
from c2f_zoo.tasks import FeatureExtractor
from c2f_zoo.training import GrowthSchedule, ProgressiveGrowth

assert_type(c2f_zoo.__version__, str)
presets = assert_type(list_presets("flow"), PresetList)
assert_type(presets[0], PresetInfo)
print(presets[0].name.upper(), presets[0].parameters + 1, presets)

model = assert_type(PWCNet.from_pretrained("pwcnet_lite.scenes", dtype="mixed_bfloat16"), PWCNet)
assert_type(PWCNetLite.from_preset("pwcnet_lite.scenes", load_weights=False), PWCNetLite)
assert_type(create_model("pwcnet_lite.scenes", pretrained=True), keras.Model)
assert_type(load("pwcnet_lite.scenes"), keras.Model)

frames = np.zeros((2, 64, 96, 3), "uint8")
flow = model.flow(frames[0], frames[1])
pictures = model.flow(list(frames), output="pil", progress=False)
depth = DepthUNet("lite").depth("folder", on_error="skip")
samples = ProGAN.from_pretrained("progan_64.fluent").generate(4, seed=0, output="pil")

extractor = assert_type(model.feature_extractor(), FeatureExtractor)
strides = [2 * stride for stride in extractor.strides]

model.compile(loss=MultiscaleRobust(), metrics=flow_metrics())
model.fit(Scenes(size=(64, 128)).stream(steps_per_epoch=2), epochs=1)
model.fit(FlowStream(open_flow_dataset("sintel", "path"), crop_size=(384, 768)), epochs=1)
folder = model.save_pretrained("my_flow", {"licence": "MIT"}, precision="float16")
print(folder.name, keras.ops.shape(flow))
schedule = GrowthSchedule.by_images(8, stabilise=16, fade=16, batch_sizes=8)
growth = ProgressiveGrowth(schedule)
