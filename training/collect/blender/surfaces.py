"""The materials of planned surfaces: paint, photographs, patterns. Needs `bpy`."""

import bpy


def material_of(look: dict, tile: str):
    """The material of a planned surface, see `plans.surface`.

    Args:
        look: What was planned.
        tile: How a photograph lies on it: "FLAT" on the XY plane, "BOX" on the sides of a box.
    """
    material = bpy.data.materials.new("surface")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = look.get("rough", 1.0)
    if "paint" in look:
        shader.inputs["Base Color"].default_value = (*look["paint"], 1)
        return material
    places = nodes.new("ShaderNodeMapping")
    places.inputs["Scale"].default_value = (1 / look["metres"],) * 3
    links.new(nodes.new("ShaderNodeTexCoord").outputs["Object"], places.inputs["Vector"])
    make = _photo if "photo" in look else _pattern
    colour = make(nodes, links, look, places.outputs["Vector"], tile)
    if "shine" in look:
        shader = nodes.new("ShaderNodeEmission")
        shader.inputs["Strength"].default_value = look["shine"]
        links.new(colour, shader.inputs["Color"])
        links.new(shader.outputs["Emission"], nodes["Material Output"].inputs["Surface"])
    else:
        links.new(colour, shader.inputs["Base Color"])
    return material


def _photo(nodes, links, look, places, tile):
    """A photograph, one unit high, mirrored where it ends."""
    image = nodes.new("ShaderNodeTexImage")
    image.image = bpy.data.images.load(look["photo"], check_existing=True)
    image.extension, image.projection, image.projection_blend = "MIRROR", tile, 0.1
    shape = nodes.new("ShaderNodeMapping")
    width, height = image.image.size
    shape.inputs["Scale"].default_value = (height / max(width, 1), 1, 1)
    shape.inputs["Location"].default_value = (0.5, 0.5, 0.5)
    links.new(places, shape.inputs["Vector"])
    links.new(shape.outputs["Vector"], image.inputs["Vector"])
    return image.outputs["Color"]


def _pattern(nodes, links, look, places, tile):
    """A pattern of three colours that repeats about once a unit."""
    colours = [(*one, 1) for one in look["colours"]]
    kind = look["pattern"]
    if kind in ("planks", "tiles", "bricks"):
        node = nodes.new("ShaderNodeTexBrick")
        for name, value in zip(("Color1", "Color2", "Mortar"), colours, strict=True):
            node.inputs[name].default_value = value
        node.offset = 0.0 if kind == "tiles" else 0.5
        wide, high = {"planks": (1.0, 0.12), "tiles": (0.5, 0.5), "bricks": (0.3, 0.1)}[kind]
        node.inputs["Scale"].default_value = 1.0
        node.inputs["Brick Width"].default_value = wide
        node.inputs["Row Height"].default_value = high
        node.inputs["Mortar Size"].default_value = 0.008
        links.new(places, node.inputs["Vector"])
        return _with_grain(nodes, links, node.outputs["Color"], places)
    if kind == "checker":
        node = nodes.new("ShaderNodeTexChecker")
        node.inputs["Scale"].default_value = 2.0
        node.inputs["Color1"].default_value, node.inputs["Color2"].default_value = colours[:2]
        links.new(places, node.inputs["Vector"])
        return _with_grain(nodes, links, node.outputs["Color"], places)
    name, scale, output = {
        "marble": ("ShaderNodeTexWave", 1.5, "Fac"),
        "spots": ("ShaderNodeTexVoronoi", 5.0, "Distance"),
        "grain": ("ShaderNodeTexNoise", 8.0, "Fac"),
    }[kind]
    node = nodes.new(name)
    node.inputs["Scale"].default_value = scale
    if kind == "marble":
        node.inputs["Distortion"].default_value, node.inputs["Detail"].default_value = 8.0, 3.0
    if kind == "grain":
        node.inputs["Detail"].default_value = 6.0
    links.new(places, node.inputs["Vector"])
    ramp = nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = colours[:2]
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.25, 0.75
    ramp.color_ramp.elements.new(0.5).color = colours[2]
    links.new(node.outputs[output], ramp.inputs["Fac"])
    return ramp.outputs["Color"]


def _with_grain(nodes, links, colour, places):
    """A colour made uneven by noise, as worn things are."""
    noise = nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 12.0, 5.0
    links.new(places, noise.inputs["Vector"])
    mix = nodes.new("ShaderNodeMixRGB")
    mix.blend_type = "OVERLAY"
    mix.inputs["Fac"].default_value = 0.6
    links.new(colour, mix.inputs["Color1"])
    links.new(noise.outputs["Fac"], mix.inputs["Color2"])
    return mix.outputs["Color"]
