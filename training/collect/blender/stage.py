"""Builds a plan with Blender and renders it. Needs `bpy`; see `blender_scenes.py`."""

import contextlib
import os
import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from training.collect.blender import truth
from training.collect.blender.plans import PRIMITIVES
from training.collect.blender.surfaces import material_of

HDRIS = Path(bpy.utils.system_resource("DATAFILES"), "studiolights", "world")
CORNERS = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]])


class Stage:
    """One scene in Blender.

    Args:
        plan: The `plans.Plan`.
        models: The models by name.
        folder: Where their files are.
        size: Height and width of the images.
        samples: Rays per pixel.
        threads: Threads to render with.
        seed: Of the renderer's noise.
    """

    def __init__(self, plan, models, folder, size, samples, threads, seed):
        self.plan, self.size, self.samples = plan, size, samples
        self.models, self.folder = models, folder
        self.missing: list[str] = []
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self._settings(threads, seed)
        kept = []
        for part in plan.parts:
            mesh = self._mesh(part)
            if mesh is None:
                self.missing.append(part.shape)
                continue
            kept.append(part)
            self._place(part, mesh, len(kept))
        self.poses = np.stack([part.poses for part in kept], axis=1)
        self._light()
        self.eyes = [self._eye(side) for side in ("left", "right")]
        self._animate(self.eyes[0], plan.camera)  # else the vectors were of a camera at rest
        self.focal = size[1] / (2 * np.tan(plan.field_of_view / 2))

    def camera(self, time, baseline=0.0):
        """The left camera, or the one `baseline` metres to its right."""
        camera = truth.Camera(self.plan.camera[time], self.focal, self.size)
        return camera.moved_right(baseline)

    def look(self, time, baseline=0.0):
        """What a camera sees: a `truth.View`, and its motion vectors (H, W, 4)."""
        camera = self.camera(time, baseline)
        layer = self.scene.view_layers[0]
        passes = ("position", "object_index", "vector")
        for name in passes:
            setattr(layer, f"use_pass_{name}", True)
        cycles = self.scene.cycles
        cycles.samples, cycles.use_denoising, cycles.filter_width = 1, False, 0.01
        cycles.max_bounces = 0
        channels = self._render(time, camera)
        for name in passes:
            setattr(layer, f"use_pass_{name}", False)

        def joined(name, letters):
            return np.stack([channels[f"ViewLayer.{name}.{letter}"] for letter in letters], -1)

        points = joined("Position", "XYZ").astype(np.float64)
        index = np.rint(channels["ViewLayer.IndexOB.X"]).astype(int)
        return (
            truth.View(camera, points, index),
            joined("Vector", "XYZW"),
        )

    def picture(self, time, baseline=0.0):
        """The radiance (H, W, 3) that a camera records, linear RGB."""
        cycles = self.scene.cycles
        cycles.samples, cycles.use_denoising, cycles.filter_width = self.samples, True, 1.5
        cycles.max_bounces = 2
        channels = self._render(time, self.camera(time, baseline))
        return np.stack([channels[f"ViewLayer.Combined.{letter}"] for letter in "RGB"], -1)

    def _settings(self, threads, seed):
        scene = self.scene = bpy.context.scene
        scene.render.engine = "CYCLES"
        scene.render.resolution_y, scene.render.resolution_x = self.size
        scene.render.resolution_percentage = 100
        scene.render.use_motion_blur = False
        scene.render.use_persistent_data = True
        scene.render.use_compositing = scene.render.use_sequencer = False
        scene.render.threads_mode, scene.render.threads = "FIXED", threads
        scene.frame_start, scene.frame_end = 1, 2
        image = scene.render.image_settings
        image.file_format, image.color_depth = "OPEN_EXR_MULTILAYER", "32"
        image.exr_codec = "NONE"
        cycles = scene.cycles
        cycles.device, cycles.seed = "CPU", seed
        cycles.use_adaptive_sampling = cycles.use_light_tree = False
        cycles.denoiser, cycles.denoising_input_passes = "OPENIMAGEDENOISE", "RGB_ALBEDO_NORMAL"
        cycles.denoising_prefilter, cycles.denoising_quality = "NONE", "BALANCED"
        cycles.diffuse_bounces, cycles.glossy_bounces, cycles.transmission_bounces = 2, 1, 0
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.sample_clamp_indirect, cycles.blur_glossy = 5.0, 1.0
        cycles.pixel_filter_type = "BLACKMAN_HARRIS"

    def _link(self, thing):
        self.scene.collection.objects.link(thing)

    def _render(self, time, camera):
        self.scene.frame_set(1 + time)
        is_left = np.array_equal(camera.pose, self.plan.camera[time])
        self.scene.camera = self.eyes[0 if is_left else 1]
        if not is_left:
            self._pose(self.eyes[1], camera.pose)
        with tempfile.TemporaryDirectory() as folder, _silence():
            path = Path(folder, "view.exr")
            self.scene.render.filepath = str(path)
            bpy.ops.render.render(write_still=True)
            return truth.read_exr(path.read_bytes())

    @staticmethod
    def _pose(thing, pose):
        matrix = Matrix(pose.tolist())
        thing.rotation_mode = "QUATERNION"
        thing.location, thing.rotation_quaternion = matrix.to_translation(), matrix.to_quaternion()

    def _animate(self, thing, poses):
        for time, pose in enumerate(poses):
            self._pose(thing, pose)
            thing.keyframe_insert("location", frame=1 + time)
            thing.keyframe_insert("rotation_quaternion", frame=1 + time)

    def _eye(self, name):
        data = bpy.data.cameras.new(name)
        data.sensor_fit, data.angle = "HORIZONTAL", self.plan.field_of_view
        data.clip_start, data.clip_end = 0.02, 1000
        eye = bpy.data.objects.new(name, data)
        self._link(eye)
        return eye

    # Things.

    def _place(self, part, mesh, index):
        thing = bpy.data.objects.new(part.shape, mesh)
        self._link(thing)
        thing.pass_index = index
        self._animate(thing, part.poses)
        if not part.lit:
            thing.visible_diffuse = thing.visible_glossy = thing.visible_shadow = False
            thing.visible_transmission = False
        if part.surface is not None:
            mesh.materials.clear()
            mesh.materials.append(
                material_of(part.surface, "FLAT" if part.shape == "quad" else "BOX")
            )

    def _mesh(self, part):
        if part.shape == "quad":
            return _mesh_of(CORNERS * part.size, [(0, 1, 2, 3)])
        if part.shape == "box" or part.shape in PRIMITIVES:
            return _primitive(part.shape, part.size)
        model = self.models[part.shape]
        try:
            return _import(self.folder / model.path, model.rotation, part.size)
        except (RuntimeError, ValueError, OSError) as error:
            print(f"The model {part.shape} is left out: {error}")
            return None

    # Light.

    def _light(self):
        for lamp in self.plan.lamps:
            data = bpy.data.lights.new("lamp", lamp["kind"])
            data.energy, data.color = lamp["power"], lamp["colour"]
            if lamp["kind"] == "SUN":
                data.angle = lamp["size"]
            elif lamp["kind"] == "AREA":
                data.size = lamp["size"]
            else:
                data.shadow_soft_size = lamp["size"]
            thing = bpy.data.objects.new("lamp", data)
            aim = np.subtract(lamp["target"], lamp["place"])
            thing.rotation_mode = "QUATERNION"
            thing.location = lamp["place"]
            thing.rotation_quaternion = Vector(aim.tolist()).to_track_quat("-Z", "Y")
            self._link(thing)
            thing.visible_camera = False
        world = bpy.data.worlds.new("sky")
        self.scene.world = world
        world.use_nodes = True
        nodes, links = world.node_tree.nodes, world.node_tree.links
        sky = nodes.new("ShaderNodeTexEnvironment")
        files = sorted(HDRIS.glob("*.exr"))
        sky.image = bpy.data.images.load(str(files[self.plan.sky["number"] % len(files)]))
        turn = nodes.new("ShaderNodeMapping")
        turn.inputs["Rotation"].default_value = (0, 0, self.plan.sky["turn"])
        links.new(nodes.new("ShaderNodeTexCoord").outputs["Generated"], turn.inputs["Vector"])
        links.new(turn.outputs["Vector"], sky.inputs["Vector"])
        links.new(sky.outputs["Color"], nodes["Background"].inputs["Color"])
        nodes["Background"].inputs["Strength"].default_value = self.plan.sky["strength"]


def hdris() -> str:
    """Names of the environments that come with Blender."""
    return ", ".join(path.stem for path in sorted(HDRIS.glob("*.exr")))


@contextlib.contextmanager
def _silence():
    """Blender prints on the process's own output, a line for each picture and more."""
    with open(os.devnull, "w") as nowhere:
        kept = [os.dup(1), os.dup(2)]
        os.dup2(nowhere.fileno(), 1), os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            for target, source in zip((1, 2), kept, strict=True):
                os.dup2(source, target)
                os.close(source)


# Meshes.


def _mesh_of(vertices, faces):
    mesh = bpy.data.meshes.new("mesh")
    mesh.from_pydata(np.asarray(vertices).tolist(), [], faces)
    return mesh


def _primitive(shape, size):
    make = {
        "box": lambda: bpy.ops.mesh.primitive_cube_add(size=1),
        "cube": lambda: bpy.ops.mesh.primitive_cube_add(size=1),
        "sphere": lambda: bpy.ops.mesh.primitive_uv_sphere_add(segments=48, ring_count=24),
        "cylinder": lambda: bpy.ops.mesh.primitive_cylinder_add(vertices=48),
        "cone": lambda: bpy.ops.mesh.primitive_cone_add(vertices=48),
        "torus": lambda: bpy.ops.mesh.primitive_torus_add(major_segments=64, minor_segments=24),
        "ball": lambda: bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=2),
        "head": bpy.ops.mesh.primitive_monkey_add,
    }[shape]
    make()
    thing = bpy.context.object
    mesh = thing.data
    bpy.data.objects.remove(thing)
    _fit(mesh, np.eye(3), size, 0.5)
    for face in mesh.polygons:
        face.use_smooth = shape in ("sphere", "torus", "head")
    return mesh


def _fit(mesh, turn, size, level):
    """Turn a mesh, and shrink it into a box of a size; `level` of its height is at the origin."""
    vertices = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", vertices)
    vertices = vertices.reshape(-1, 3).astype(np.float64) @ turn.T
    low, high = vertices.min(0), vertices.max(0)
    if not len(mesh.polygons) or (high - low).max() <= 0:
        raise ValueError("it has no surface")
    scale = np.asarray(size) / np.maximum(high - low, 1e-6)
    # What is flat stays flat.
    scale = np.where(high - low < 1e-5, 1.0, scale)
    middle = np.array([*((low + high) / 2)[:2], low[2] + level * (high - low)[2]])
    mesh.vertices.foreach_set("co", ((vertices - middle) * scale).astype(np.float32).ravel())
    mesh.update()


def _import(path, rotation, size):
    """A model's mesh with its own materials, fitted to its real size, its foot at the origin."""
    before = set(bpy.data.objects)
    with _silence():
        bpy.ops.wm.obj_import(filepath=str(path), use_split_objects=False, use_split_groups=False)
    things = [one for one in bpy.data.objects if one not in before]
    meshes = [one.data for one in things if one.type == "MESH"]
    for one in things:
        bpy.data.objects.remove(one)
    if len(meshes) != 1:
        raise ValueError(f"it has {len(meshes)} meshes")
    mesh = meshes[0]
    # The file's Y is up and its front is +Z; here Z is up.
    upright = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    _fit(mesh, upright @ np.reshape(rotation, (3, 3)), size, 0.0)
    for material in mesh.materials:
        if material is not None:
            _make_opaque(material)
    return mesh


def _make_opaque(material):
    """Let a material be seen as solid: what shines through glass has a motion of its own."""
    if not material.use_nodes:
        return
    for node in list(material.node_tree.nodes):
        if node.type == "TEX_IMAGE" and (node.image is None or not node.image.size[0]):
            material.node_tree.nodes.remove(node)  # a missing file would show as magenta
        elif node.type == "BSDF_PRINCIPLED":
            for link in list(node.inputs["Alpha"].links):
                material.node_tree.links.remove(link)
            node.inputs["Alpha"].default_value = 1.0
            node.inputs["Transmission Weight"].default_value = 0.0
            node.inputs["Roughness"].default_value = max(
                0.2, node.inputs["Roughness"].default_value
            )
            node.inputs["Metallic"].default_value = min(0.5, node.inputs["Metallic"].default_value)
