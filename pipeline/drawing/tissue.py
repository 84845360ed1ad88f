"""Everything but nuclei: stroma, cytoplasm, holes, vessels."""

import numpy as np

from pipeline.drawing.canvas import Canvas, Field, Rng, Vector, between, direction, strands


def stroma(canvas: Canvas, rng: Rng, grain: Vector, density: float, loose: float) -> None:
    """Fill the canvas with collagen: wavy pink fibres along `grain`, with pale gaps where it is loose (0..1)."""
    y, x = canvas.from_point(Vector(0, 0))
    along = y * grain.y + x * grain.x
    across = x * grain.y - y * grain.x + 9 * canvas.noise(rng, 22) + 3 * canvas.noise(rng, 6)
    coarse = strands(rng, along / 16, across / 2.2)
    fine = strands(rng, along / 5, across / 0.6)
    patches = canvas.noise(rng, 11)
    slit = 1 - np.abs(2 * strands(rng, along / 12, across / 2.8) - 1) * 9  # thin, where the noise crosses its middle
    gap = strands(rng, along / 14, across / 3) + 0.5 * patches - 1.25 + 0.5 * loose
    pale = np.clip(np.maximum(gap * 5, slit * loose), 0, 1)
    canvas.eosin[:] = density * (0.15 + 0.6 * coarse + 0.75 * fine + 0.2 * patches) * (1 - 0.85 * pale)
    canvas.haematoxylin[:] = density * (0.04 + 0.15 * fine * coarse + 0.1 * patches) * (1 - 0.8 * pale)


def cytoplasm(canvas: Canvas, rng: Rng, cover: Field, haematoxylin: float, eosin: float) -> None:
    """Lay granular cytoplasm over the canvas where `cover` is 1 and no nucleus lies."""
    cover = cover * (canvas.instances == 0)
    grain, patches, cells = canvas.noise(rng, 0.6), canvas.noise(rng, 4), canvas.noise(rng, 9)
    foam = 1 - 0.5 * np.clip((cells - 0.62) * 6, 0, 1)
    texture = (0.4 + 0.7 * grain + 0.5 * patches) * foam
    canvas.blend(cover, haematoxylin * texture, eosin * texture)


def hole(canvas: Canvas, cover: Field) -> None:
    """Leave bare glass where `cover` is 1 and no nucleus lies: a lumen, a fat cell, a cleft."""
    cover = cover * (canvas.instances == 0)
    canvas.blend(cover, 0.005, 0.012)
    canvas.bare |= cover > 0.5


def blob(canvas: Canvas, rng: Rng, centre: Vector, radius: float, wobble: float, edge: float = 0.8) -> Field:
    """A rounded region: 1 inside, falling to 0 over `edge` µm at an uneven outline."""
    y, x = canvas.from_point(centre)
    distance = np.sqrt(y * y + x * x) + wobble * radius * (canvas.noise(rng, max(radius, 2.0)) - 0.5)
    return np.clip((radius - distance) / edge, 0, 1)


def vessel(canvas: Canvas, rng: Rng) -> None:
    """A small vessel with red cells, which are pink and have no nucleus."""
    size = canvas.size
    centre = Vector(size.y * float(rng.random()), size.x * float(rng.random()))
    hole(canvas, blob(canvas, rng, centre, between(rng, (4, 7)), 0.4))
    for _ in range(int(between(rng, (3, 9)))):
        away, far = direction(rng), between(rng, (0, 4))
        cell = blob(canvas, rng, Vector(centre.y + away.y * far, centre.x + away.x * far), 2.6, 0.3, 0.4)
        canvas.blend(cell, 0.03, between(rng, (0.5, 1.2)))
