#!/usr/bin/env python3
"""Whether this project's slide reader agrees with OpenSlide, on made slides of every kind.

    cargo xtask agree            all kinds, hundreds of regions each
    cargo xtask agree --short    what `cargo xtask test` runs

Files in folders that are named by --also are compared, too, and what differs is told; it fails nothing, as OpenSlide may
be wrong: it cannot read all real files, draws levels of an NDPI that are not in the file with half the chroma that there is
in 4:2:2, and blurs areas of a slide that lie between pixels of the whole, as Leica's and Ventana's do.

Pixels of lossless slides must be the same; of JPEG and JPEG 2000 a sample may be 1 apart, and one of 100,000 by 2. Vendor,
levels, properties, associated images, and the figures of Deep Zoom must be the same.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zlib

import numpy as np
import openslide
from openslide.deepzoom import DeepZoomGenerator

import slides

#: What a lossy codec's arithmetic leaves open: 1, and 2 for this share of all samples.
BY_TWO_MAX = 0.00001
#: A hash of the file that only OpenSlide has.
OURS_ALONE_LACKS = {"openslide.quickhash-1"}
#: Makers whose tiles are cut anew by both readers, or only by ours: sizes of tiles say nothing.
CUT_ANEW = {"hamamatsu", "leica", "trestle", "ventana"}


class Ours:
    """The reader under test: slide/examples/regions.rs, one process a slide."""

    def __init__(self, program, path):
        self.process = subprocess.Popen([program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, question):
        """The answer's width, height and bytes."""
        self.process.stdin.write(question.encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().decode().strip()
        if not line.startswith("ok "):
            raise Disagreement(f"{question}: {line or 'the reader has ended'}")
        width, height, length = (int(word) for word in line.split()[1:])
        return width, height, self.process.stdout.read(length)

    def json(self, question):
        return json.loads(self.ask(question)[2])

    def pixels(self, question):
        width, height, data = self.ask(question)
        return np.frombuffer(data, np.uint8).reshape(height, width, 3)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Disagreement(Exception):
    pass


class Differences:
    """How far apart samples were, of all pictures of one slide."""

    def __init__(self):
        self.counts = np.zeros(256, np.int64)
        self.regions = 0
        self.worst = ""

    def add(self, what, have, want):
        off = np.abs(have.astype(np.int16) - want.astype(np.int16))
        if off.size and off.max() > self.most:
            self.worst = what
        self.counts += np.bincount(off.ravel(), minlength=256)
        self.regions += 1

    @property
    def most(self):
        return int(np.flatnonzero(self.counts).max(initial=0))

    def share(self, least):
        return self.counts[least:].sum() / max(1, self.counts.sum())

    def check(self, lossless):
        # In few samples a single one is a larger share.
        far = self.most > 2 or self.counts[2:].sum() > max(1, BY_TWO_MAX * self.counts.sum())
        if (self.most > 0) if lossless else far:
            raise Disagreement(f"samples {self.most} apart: {self.worst}; by 1 {self.share(1):.4%}, by 2 {self.share(2):.4%}, "
                               f"by more {self.share(3):.4%}")

    def __str__(self):
        return (f"{self.regions:5} pictures, {self.counts.sum() / 1e6:7.1f} M samples: most {self.most}, "
                f"by 1 {self.share(1):8.4%}, by 2 {self.share(2):8.4%}")


def on_white(image, see_through=False):
    """OpenSlide's picture as it shows on glass: transparent beyond the edge, and in part on it. It has colours multiplied by
    alpha; its Python divides them again and rounds down, which rounding up takes back. Of a slide whose own pixels are
    see-through, their colours."""
    rgba = np.asarray(image).astype(np.int32)
    colors, alpha = rgba[..., :3], rgba[..., 3:]
    if see_through:
        return np.where(alpha == 0, 255, colors).astype(np.uint8)
    return (255 - alpha - -colors * alpha // 255).astype(np.uint8)


# ------------------------------------------------------------------ what is compared
def regions(level, size, downsample, count, dice):
    """Random rectangles of a level: inside, over edges, beyond, thin and small. Corners in pixels of level 0."""
    for index in range(count):
        width, height = dice.randint(1, min(700, size[0] + 60)), dice.randint(1, min(500, size[1] + 60))
        x, y = dice.randint(-40, size[0]), dice.randint(-40, size[1])
        match index % 8:
            case 0:
                x, y = size[0] - width // 2, size[1] - height // 2
            case 1:
                x, y = -dice.randint(1, width), -dice.randint(1, height)
            case 2:
                width, height = (1, 300) if index % 16 == 2 else (300, 1)
            case 3:
                x, y = size[0] + dice.randint(0, 50), y
            case 4:
                x, y = max(0, size[0] - width), max(0, size[1] - height)
        # Three of four corners fall between pixels of the level.
        beyond = lambda: dice.randrange(max(1, int(downsample))) if index % 4 else 0
        yield round(x * downsample) + beyond(), round(y * downsample) + beyond(), width, height


def is_between(start, downsample):
    """Whether a place is between pixels of its level; left of the slide and above it OpenSlide cuts fractions off."""
    return start >= 0 and start / downsample != int(start / downsample)


def compare_pixels(ours, theirs, count, dice):
    """The differences of pixels in random regions of all levels."""
    differences = Differences()
    smallest = theirs.read_region((0, 0), theirs.level_count - 1, theirs.level_dimensions[-1])
    see_through = (np.asarray(smallest)[..., 3] % 255 > 0).any()
    for level, (size, downsample) in enumerate(zip(theirs.level_dimensions, theirs.level_downsamples)):
        for x, y, width, height in regions(level, size, downsample, count, dice):
            # The mean of see-through pixels is one of their colours by alpha; we know colours alone.
            if see_through and (is_between(x, downsample) or is_between(y, downsample)):
                continue
            what = f"region {x} {y} {level} {width} {height}"
            differences.add(what, ours.pixels(what), on_white(theirs.read_region((x, y), level, (width, height)), see_through))
    return differences


def compare_images(ours, theirs, lossless):
    lossy, exact = Differences(), Differences()
    for name, image in theirs.associated_images.items():
        (exact if name == "label" else lossy).add(f"image {name}", ours.pixels(f"image {name}"), on_white(image))
    exact.check(True)
    lossy.check(lossless)


def compare_facts(ours, theirs):
    info = ours.json("info")
    same("level dimensions", [tuple(level["size"]) for level in info["levels"]], list(theirs.level_dimensions))
    for have, want in zip((level["downsample"] for level in info["levels"]), theirs.level_downsamples):
        same("downsample", abs(have - want) < 1e-9, True)
    same("associated images", {name: tuple(size) for name, size in info["associated"].items()},
         {name: image.size for name, image in theirs.associated_images.items()})
    is_tile = lambda key: ".tile-" in key and info["vendor"] in CUT_ANEW
    for key, want in theirs.properties.items():
        if key in OURS_ALONE_LACKS or is_tile(key):
            continue
        have = info["properties"].get(key)
        if have is None or not (have == want or same_number(have, want)):
            raise Disagreement(f"property {key} is {have!r}, not {want!r}")
    more = {key for key in info["properties"] if key.startswith("openslide.")} - set(theirs.properties)
    same("properties of OpenSlide that it has not", {key for key in more if not is_tile(key)}, set())
    number = lambda key: None if key not in theirs.properties else float(theirs.properties[key])
    for have, key in zip([*(info["mpp"] or (None, None)), info["objective_power"]],
                         ("openslide.mpp-x", "openslide.mpp-y", "openslide.objective-power")):
        want = number(key)
        if not (have == want or (have and want and abs(have - want) <= 1e-6 * want)):
            raise Disagreement(f"{key} is {have}, not {want}")


def same(what, have, want):
    if have != want:
        raise Disagreement(f"{what}: {have}, not {want}")


def same_number(have, want):
    """Whether two texts are one number but for the digits that a 32-bit number has not."""
    try:
        return abs(float(have) - float(want)) <= 1e-6 * abs(float(want))
    except ValueError:
        return False


def compare_zoom(ours, theirs, dice):
    own = ours.json("zoom 0 0")["tile_size"]
    for side, overlap in ((254, 1), (own, 0)):
        want = DeepZoomGenerator(theirs, side, overlap)
        have = ours.json(f"zoom {side} {overlap}")["levels"]
        same(f"Deep Zoom {side}, {overlap}: levels", [tuple(level["size"]) for level in have], list(want.level_dimensions))
        same(f"Deep Zoom {side}, {overlap}: tiles", [tuple(level["tiles"]) for level in have], list(want.level_tiles))
        for level, (columns, rows) in enumerate(want.level_tiles):
            for column, row in {(0, 0), (columns - 1, rows - 1), (dice.randrange(columns), dice.randrange(rows))}:
                width, height, _ = ours.ask(f"zoom {side} {overlap} {level} {column} {row}")
                same(f"Deep Zoom {side}, {overlap}: tile {level} {column} {row}", (width, height),
                     want.get_tile_dimensions(level, (column, row)))


# ------------------------------------------------------------------ running
def compare(name, path, program, lossless, count, seed):
    """One slide; the line to print, and whether all agrees."""
    ours, theirs = Ours(program, path), openslide.OpenSlide(path)
    dice = random.Random(zlib.crc32(name.encode()) + seed)
    failures, figures = [], ""
    pixels = []

    def compare_regions():
        pixels.append(compare_pixels(ours, theirs, count, dice))
        pixels[0].check(lossless)

    try:
        for step in (lambda: compare_facts(ours, theirs), compare_regions,
                     lambda: compare_images(ours, theirs, False), lambda: compare_zoom(ours, theirs, dice)):
            try:
                step()
            except Disagreement as disagreement:
                failures.append(str(disagreement))
            except openslide.OpenSlideError as error:
                failures.append(f"OpenSlide cannot: {error}")
        figures = str(pixels[0]) if pixels else ""
    finally:
        ours.close()
        theirs.close()
    return figures, failures


def mosaics(tool, folder, wanted):
    """Slides like a scanner's, cut from a real one by the collection's own tool, where it is there."""
    kinds = {
        "jpeg-rgb": [], "jpeg-rgb-app14": ["--app14"], "jpeg-tile-256": ["--tile", "256"],
        "ycbcr-444": ["--ycbcr", "--subsampling", "444"], "ycbcr-422": ["--ycbcr", "--subsampling", "422"],
        "ycbcr-420-classic": ["--ycbcr", "--subsampling", "420", "--classic"],
        "none": ["--compression", "none"], "deflate": ["--compression", "deflate"],
        "jp2k-33003": ["--compression", "jp2k", "--ycbcr"], "jp2k-33005": ["--compression", "jp2k"],
    }
    for name, options in kinds.items():
        if not wanted(f"mosaic-{name}"):
            continue
        path = os.path.join(folder, f"mosaic-{name}.svs")
        size = ["--width", "4337", "--height", "3219", "--types", "4"]
        subprocess.run([sys.executable, tool, path, *size, *options], check=True, stdout=subprocess.DEVNULL)
        yield f"mosaic-{name}", path, name in ("none", "deflate")


def others(folder):
    """The files of a folder that OpenSlide opens."""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        try:
            openslide.OpenSlide(path).close()
        except openslide.OpenSlideError:
            continue
        yield name, path, False


def made(folder, wanted):
    for kind in slides.kinds():
        if wanted(kind.name):
            path = os.path.join(folder, kind.name + (".svs" if kind.aperio else ".tif"))
            slides.write(kind, path, zlib.crc32(kind.name.encode()))
            yield kind.name, path, kind.lossless


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", help="the built example 'regions' of the slide reader")
    parser.add_argument("--tool", help="make_big_svs.py of the collection of real slides")
    parser.add_argument("--also", action="append", default=[], help="a folder of other files: their differences are told")
    parser.add_argument("--short", action="store_true", help="few regions, and no slides by the tool")
    parser.add_argument("--regions", type=int, help="regions of each level")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="kinds with this in their name")
    options = parser.parse_args()
    count = options.regions or (24 if options.short else 160)
    wanted = lambda name: options.only in name
    disagreeing, total = [], 0
    with tempfile.TemporaryDirectory() as folder:
        sources = [made(folder, wanted)]
        if options.tool and not options.short:
            sources.append(mosaics(options.tool, folder, wanted))
        sources += [(item for item in others(also) if wanted(item[0])) for also in options.also]
        for name, path, lossless in (item for source in sources for item in source):
            is_made = os.path.dirname(path) == folder
            start = time.monotonic()
            figures, failures = compare(name, path, options.program, lossless, count, options.seed)
            if is_made:
                os.remove(path)
            total += is_made
            print(f"{name:42} {'disagrees' if failures else 'agrees':9} {figures} ({time.monotonic() - start:.1f} s)", flush=True)
            for failure in failures:
                print(f"    {failure}", flush=True)
            disagreeing += [name] if failures and is_made else []
    print(f"{total - len(disagreeing)} of {total} slides agree with OpenSlide {openslide.__library_version__}")
    return 1 if disagreeing or not (total or options.also) else 0


if __name__ == "__main__":
    sys.exit(main())
