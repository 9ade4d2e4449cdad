"""openslide-python behind WSGI, for gunicorn: Deep Zoom tiles as JPEG and regions as PNG or raw RGB.

BENCH_SLIDES is a JSON object of names and paths, BENCH_JPEG_QUALITY the quality of the tiles. What openslide's own
example server does is done here without its framework: the generator is made once for each grid, the tile is encoded
by Pillow.
"""

import io
import json
import os
from functools import lru_cache

import openslide
from openslide.deepzoom import DeepZoomGenerator
from PIL import Image

SLIDES = json.loads(os.environ["BENCH_SLIDES"])
QUALITY = int(os.environ["BENCH_JPEG_QUALITY"])


@lru_cache(maxsize=None)
def slide(name):
    return openslide.OpenSlide(SLIDES[name])


@lru_cache(maxsize=None)
def deep_zoom(name, tile_size, overlap):
    return DeepZoomGenerator(slide(name), tile_size=tile_size, overlap=overlap, limit_bounds=False)


def tile(name, grid, level, place):
    """/NAME/dz/SIZE_OVERLAP/LEVEL/COLUMN_ROW"""
    size, overlap = map(int, grid.split("_"))
    column, row = map(int, place.split("_"))
    out = io.BytesIO()
    deep_zoom(name, size, overlap).get_tile(int(level), (column, row)).save(out, "jpeg", quality=QUALITY)
    return "image/jpeg", out.getvalue()


def region(name, form, level, place):
    """/NAME/region/FORM/LEVEL/X_Y_SIDE"""
    x, y, side = map(int, place.split("_"))
    picture = slide(name).read_region((x, y), int(level), (side, side)).convert("RGB")
    if form == "raw":
        return "application/octet-stream", picture.tobytes()
    out = io.BytesIO()
    picture.save(out, "png")
    return "image/png", out.getvalue()


def scaled(name, place, to):
    """/NAME/scaled/X_Y_SIDE/TO: from the level that OpenSlide finds best, as its own thumbnails are made."""
    x, y, side = map(int, place.split("_"))
    to = int(to)
    level = slide(name).get_best_level_for_downsample(side / to)
    there = round(side / slide(name).level_downsamples[level])
    picture = slide(name).read_region((x, y), level, (there, there)).convert("RGB")
    if there != to:
        picture = picture.resize((to, to), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "jpeg", quality=QUALITY)
    return "image/jpeg", out.getvalue()


def application(environ, start_response):
    try:
        name, what, *rest = environ["PATH_INFO"].strip("/").split("/")
        media_type, body = {"dz": tile, "region": region, "scaled": scaled}[what](name, *rest)
        status = "200 OK"
    except (KeyError, ValueError, TypeError, openslide.OpenSlideError) as error:
        status, media_type, body = "404 Not Found", "text/plain", repr(error).encode()
    start_response(status, [("Content-Type", media_type), ("Content-Length", str(len(body)))])
    return [body]
