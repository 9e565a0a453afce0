"""Plans of rooms: walls, windows, furniture along the walls and on the floor, things on it."""

import numpy as np

from training.collect.blender import plans
from training.collect.blender.plans import Part, Plan

WINDOW_SILL = 0.9


class Room:
    """A room of random size that is filled step by step.

    Args:
        random: A `numpy.random.Generator`.
        models: The furniture to choose from.
        photographs: Paths of the photographs to choose from.
    """

    def __init__(self, random, models, photographs):
        self.random, self.photographs = random, photographs
        self.width, self.length = random.uniform(3.2, 6.5), random.uniform(3.8, 8.0)
        self.height = random.uniform(2.4, 3.1)
        self.parts: list[Part] = []
        self.taken: list[tuple[float, float, float, float]] = []  # x0, y0, x1, y1 on the floor
        self.standing = []  # (model, part) of what stands on the floor
        indoors = [one for one in models if one.category in (*plans.INDOORS, "Lights")]
        self.furniture = [
            one
            for one in indoors
            if one.elevation == 0
            and 0.4 < max(one.size) < 3
            and min(one.size[:2]) > 0.15
            and one.size[2] > 0.25
            and one.size[2] < self.height
        ]
        self.small = [one for one in models if 0.1 < max(one.size) < 0.6 and one.elevation == 0]
        self.hung = [
            one
            for one in indoors
            if one.elevation > 0.2
            and one.elevation + one.size[2] < self.height
            and 0.25 < max(one.size) < 2.5
        ]
        self.people = [one for one in models if one.category == "Characters"]

    def plan(self) -> Plan:
        """Fill the room and place the camera."""
        random = self.random
        self._shell()
        camera, target = self._camera()
        for _ in range(random.integers(7, 16)):
            self._furnish(random.choice(self.furniture), along_wall=random.random() < 0.6)
        if self.people and random.random() < 0.3:
            self._furnish(random.choice(self.people), along_wall=False)
        for _ in range(random.integers(0, 4)):
            self._hang(random.choice([None, *self.hung]))
        self._stack()
        self._pictures(random.integers(1, 5))
        self._fly(random.integers(0, 4), camera)
        self._set_in_motion()
        distance = float(np.linalg.norm(target - camera[:3, 3]))
        return Plan(
            "room",
            self.parts,
            plans.camera_motion(random, camera, distance),
            float(np.radians(random.uniform(55, 80))),
            self._lamps(),
            {
                "strength": float(random.uniform(0.3, 1.0)),
                "turn": float(random.uniform(0, 2 * np.pi)),
                "number": int(random.integers(1 << 16)),
            },
            plans.heavy(random, 0.05, 0.25),
        )

    def _add(self, shape, size, where, surface, lit=True):
        poses = where if where.ndim == 3 else plans.still(where)
        part = Part(shape, tuple(float(one) for one in size), poses, surface, lit)
        self.parts.append(part)
        return part

    def _surface(self, **options):
        return plans.surface(self.random, self.photographs, **options)

    def _box(self, low, high, surface):
        low, high = np.asarray(low, float), np.asarray(high, float)
        self._add("box", high - low, plans.pose(np.eye(3), (low + high) / 2), surface)

    def _wall_frame(self, side):
        """Pose of a wall's lower left corner, X along it and Y up, Z into the room; its length."""
        x, y = self.width, self.length
        origin, along, length = [
            ((0, y, 0), (1, 0, 0), x),
            ((x, y, 0), (0, -1, 0), y),
            ((x, 0, 0), (-1, 0, 0), x),
            ((0, 0, 0), (0, 1, 0), y),
        ][side]
        turn = np.stack([along, (0, 0, 1), np.cross(along, (0, 0, 1))], axis=1)
        return plans.pose(turn, origin), length

    def _shell(self):
        """Floor, ceiling, and four walls, of which some have a window."""
        random = self.random
        paint = {"paint": plans.colour(random, (0.75, 0.95), 0.15), "rough": 0.9}
        flat = np.diag([1.0, -1.0, -1.0])
        middle = (self.width / 2, self.length / 2)
        size = (self.width, self.length, 0)
        floor = self._surface(photo_share=0.3, metres=(0.5, 2.5), value=(0.2, 0.8))
        self._add("quad", size, plans.pose(np.eye(3), (*middle, 0)), floor)
        self._add("quad", size, plans.pose(flat, (*middle, self.height)), paint)
        one = self._surface(photo_share=0.45, metres=(0.6, 3.0), value=(0.5, 0.95))
        windows = random.random(4) < 0.35
        self.is_wall_free = ~windows
        for side in range(4):
            other = self._surface(photo_share=0.45, metres=(0.6, 3.0), value=(0.5, 0.95))
            plain = {"paint": plans.colour(random, (0.5, 0.95), 0.4), "rough": 0.8}
            chosen = [one, one, other, plain][random.integers(4)]
            self._wall(side, chosen, windows[side])
        if random.random() < 0.5:
            wide, long = random.uniform(1.0, 2.2), random.uniform(1.2, 2.8)
            at = random.uniform(0.3, 0.7, 2) * (self.width, self.length)
            rug = plans.pose(plans.turn_about((0, 0, 1), random.uniform(0, np.pi)), (*at, 0.006))
            surface = self._surface(photo_share=0.7, metres=(1.0, 2.5))
            self._add("box", (wide, long, 0.012), rug, surface)

    def _wall(self, side, surface, window):
        random = self.random
        frame, length = self._wall_frame(side)

        def panel(left, low, right, high):
            at = frame[:3, :3] @ ((left + right) / 2, (low + high) / 2, 0) + frame[:3, 3]
            size = (right - left, high - low, 0)
            self._add("quad", size, plans.pose(frame[:3, :3], at), surface)

        if not window:
            panel(0, 0, length, self.height)
            return
        wide = random.uniform(0.8, min(2.4, length - 1))
        left, low = random.uniform(0.3, length - wide - 0.3), random.uniform(0.1, WINDOW_SILL)
        right, high = left + wide, random.uniform(1.9, self.height - 0.2)
        panel(0, 0, left, self.height)
        panel(right, 0, length, self.height)
        panel(left, 0, right, low)
        panel(left, high, right, self.height)
        wood = {"paint": plans.colour(random, (0.3, 0.95), 0.4), "rough": 0.5}
        for x0, y0, x1, y1 in (
            (left - 0.05, low - 0.05, left + 0.05, high + 0.05),
            (right - 0.05, low - 0.05, right + 0.05, high + 0.05),
            (left, low - 0.05, right, low + 0.05),
            (left, high - 0.05, right, high + 0.05),
            ((left + right) / 2 - 0.03, low, (left + right) / 2 + 0.03, high),
        ):
            at = frame[:3, :3] @ ((x0 + x1) / 2, (y0 + y1) / 2, 0) + frame[:3, 3]
            self._add("box", (x1 - x0, y1 - y0, 0.1), plans.pose(frame[:3, :3], at), wood)
        # The world outside: a photograph far enough to have a parallax of its own.
        far = random.uniform(5, 15)
        at = frame[:3, :3] @ ((left + right) / 2, self.height / 2, -far) + frame[:3, 3]
        view = {
            "photo": str(random.choice(self.photographs)),
            "metres": 3 * far,
            "shine": float(random.uniform(1.0, 3.0)),
        }
        size = (8 * far, 5 * far, 0)
        self._add("quad", size, plans.pose(frame[:3, :3], at), view, lit=False)

    def _camera(self):
        """A place near one end of the room, and a point near the other that it looks at."""
        random = self.random
        place = np.array(
            [
                random.uniform(0.15, 0.85) * self.width,
                random.uniform(0.25, 0.6),
                random.uniform(1.0, 1.75),
            ]
        )
        target = np.array(
            [
                random.uniform(0.2, 0.8) * self.width,
                random.uniform(0.6, 1.0) * self.length,
                random.uniform(0.2, 1.2),
            ]
        )
        if random.random() < 0.5:  # from the other end
            place[1], target[1] = self.length - place[1], self.length - target[1]
        around = 0.75
        x, y, _ = place
        self.taken.append((x - around, y - around, x + around, y + around))
        return plans.looking(place, target, random.normal() * np.radians(2)), target

    def _is_free(self, box):
        x0, y0, x1, y1 = box
        if x0 < 0 or y0 < 0 or x1 > self.width or y1 > self.length:
            return False
        return all(x1 < a or x0 > c or y1 < b or y0 > d for a, b, c, d in self.taken)

    def _furnish(self, model, along_wall):
        """Put a model on the floor where there is room: its back to a wall, or anywhere."""
        random = self.random
        for _ in range(12):
            side = int(random.integers(4))
            yaw = -side * np.pi / 2 if along_wall else random.uniform(0, 2 * np.pi)
            wide, deep = plans.footprint(model, yaw)
            room = np.maximum((self.width - wide, self.length - deep), 0)
            x, y = random.uniform(0, 1, 2) * room + (wide / 2, deep / 2)
            if along_wall:
                x = {1: self.width - wide / 2 - 0.03, 3: wide / 2 + 0.03}.get(side, x)
                y = {0: self.length - deep / 2 - 0.03, 2: deep / 2 + 0.03}.get(side, y)
            box = (x - wide / 2, y - deep / 2, x + wide / 2, y + deep / 2)
            if self._is_free(box):
                self.taken.append(box)
                turn = plans.turn_about((0, 0, 1), yaw)
                own = None if random.random() < 0.7 else self._surface(metres=(0.3, 1.0))
                part = self._add(model.name, model.size, plans.pose(turn, (x, y, 0)), own)
                self.standing.append((model, part))
                return

    def _hang(self, model):
        """Fix a model at its height to a wall without a window."""
        sides = np.flatnonzero(self.is_wall_free)
        if not len(sides) or model is None:
            return
        frame, length = self._wall_frame(int(self.random.choice(sides)))
        if model.size[0] > length - 0.4:
            return
        along = self.random.uniform(0.2 + model.size[0] / 2, length - 0.2 - model.size[0] / 2)
        place = frame[:3, :3] @ (along, model.elevation, model.size[1] / 2) + frame[:3, 3]
        turn = np.stack([frame[:3, 0], -frame[:3, 2], (0, 0, 1)], axis=1)
        self._add(model.name, model.size, plans.pose(turn, place), None)

    def _stack(self):
        """Put small things on what can carry them; they move with it."""
        random = self.random
        self.on_top = {}
        for model, part in self.standing:
            if model.top is None or random.random() < 0.2:
                continue
            for _ in range(random.integers(1, 4)):
                thing = random.choice(self.small)
                spare = np.maximum(np.subtract(model.size[:2], max(thing.size[:2])), 0) / 2
                x, y = random.uniform(-0.8, 0.8, 2) * spare
                local = plans.pose(
                    plans.turn_about((0, 0, 1), random.uniform(0, 2 * np.pi)),
                    (x, y, model.top + 0.002),
                )
                own = None if random.random() < 0.7 else self._surface(metres=(0.1, 0.4))
                carried = self._add(thing.name, thing.size, part.poses[0] @ local, own)
                self.on_top.setdefault(id(part), []).append((carried, local))

    def _pictures(self, count):
        """Framed photographs on the walls without a window."""
        random = self.random
        for _ in range(count):
            frame, length = self._wall_frame(int(random.integers(4)))
            high = random.uniform(0.3, 0.9)
            wide = high * random.uniform(0.7, 1.6)
            along = random.uniform(0.2 + wide / 2, length - wide / 2 - 0.2)
            level = random.uniform(1.2, max(1.3, self.height - high / 2 - 0.2))
            photo = {
                "photo": str(random.choice(self.photographs)),
                "metres": float(high),
                "rough": float(random.uniform(0.3, 0.9)),
            }
            border = {"paint": plans.colour(random, (0.05, 0.9), 0.5), "rough": 0.4}
            for depth, spare, surface in ((0.02, 0.08, border), (0.03, 0.0, photo)):
                at = frame[:3, :3] @ (along, level, depth / 2) + frame[:3, 3]
                size = (wide + spare, high + spare, depth)
                self._add("box", size, plans.pose(frame[:3, :3], at), surface)

    def _fly(self, count, camera):
        """Throw a few small things through the air in front of the camera."""
        random = self.random
        for _ in range(count):
            far = random.uniform(1.2, 3.0)
            place = (
                camera[:3, :3]
                @ (random.uniform(-0.4, 0.4) * far, random.uniform(-0.25, 0.3) * far, -far)
                + camera[:3, 3]
            )
            inside = np.clip(place, 0.4, (self.width - 0.4, self.length - 0.4, self.height - 0.3))
            if random.random() < 0.5:
                thing = random.choice(self.small)
                shape, size = thing.name, thing.size
                own = None if random.random() < 0.6 else self._surface(metres=(0.1, 0.5))
            else:
                shape = str(random.choice(plans.PRIMITIVES))
                size = random.uniform(0.12, 0.4) * random.uniform(0.5, 1, 3)
                own = self._surface(photo_share=0.7, metres=(0.1, 0.5))
            where = plans.pose(plans.any_turn(random), inside)
            shift = random.normal(size=3) * heavy_step(random, far)
            angle = np.radians(plans.heavy(random, 1, 30))
            self._add(shape, size, plans.moving(random, where, shift, angle), own)

    def _set_in_motion(self):
        """Push a few pieces of furniture over the floor, with what stands on them."""
        random = self.random
        for _, part in self.standing:
            if random.random() > 0.35:
                continue
            shift = (*random.normal(size=2) * plans.heavy(random, 0.01, 0.2), 0)
            angle = np.radians(plans.heavy(random, 0.3, 15)) * random.choice([-1, 1])
            part.poses = plans.moving(random, part.poses[0], shift, angle, axis=(0, 0, 1))
            for carried, local in self.on_top.get(id(part), []):
                carried.poses = part.poses @ local

    def _lamps(self):
        random = self.random
        lamps = []
        for _ in range(random.integers(1, 4)):
            x, y = random.uniform(0.2, 0.8, 2) * (self.width, self.length)
            lamps.append(
                {
                    "kind": "AREA",
                    "place": [float(x), float(y), float(self.height - 0.05)],
                    "target": [float(x), float(y), 0.0],
                    "size": float(random.uniform(0.2, 1.2)),
                    "power": float(random.uniform(30, 120)),
                    "colour": _light(random),
                }
            )
        if random.random() < 0.4:  # a lamp somewhere, with harder shadows
            place = random.uniform((0.2, 0.2, 0.8), (0.8, 0.8, 1.0))
            place = place * (self.width, self.length, self.height - 0.3)
            lamps.append(
                {
                    "kind": "POINT",
                    "place": [float(one) for one in place],
                    "target": [0.0, 0.0, 0.0],
                    "size": 0.05,
                    "power": float(random.uniform(20, 80)),
                    "colour": _light(random),
                }
            )
        return lamps


def heavy_step(random, far):
    """Metres that something moves at a distance: mostly little, up to a quarter of it."""
    return far * plans.heavy(random, 0.004, 0.12)


def _light(random):
    warm = random.uniform(-0.25, 0.35)
    return [1.0, 1.0 - 0.4 * abs(warm), float(np.clip(1.0 - warm, 0.5, 1.0))]


def plan(random, models, photographs) -> Plan:
    """A random room. See `Room`."""
    return Room(random, models, photographs).plan()
