"""How long openslide-python takes to open a slide and give its first tile, and what each open slide costs.

openslide_open.py FILE ROUNDS HELD_OPEN; prints JSON. Bytes read are those of system calls (rchar of /proc/self/io).
"""

import json
import os
import sys
import time

import openslide


def read_bytes():
    with open("/proc/self/io") as io:
        return int(io.readline().split()[1])


def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


path, rounds, held_open = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
open_ms, tile_ms, read = [], [], []
for number in range(rounds + 1):
    before, started = read_bytes(), time.perf_counter()
    slide = openslide.OpenSlide(path)
    opened = time.perf_counter()
    side = int(slide.properties["openslide.level[0].tile-width"])
    width, height = slide.dimensions
    corner = (width // side // 2 * side, height // side // 2 * side)
    slide.read_region(corner, 0, (side, side))
    if number > 0:
        open_ms.append((opened - started) * 1e3)
        tile_ms.append((time.perf_counter() - started) * 1e3)
        read.append(read_bytes() - before)
    slide.close()
before = resident_bytes()
held = [openslide.OpenSlide(path) for _ in range(held_open)]
per_slide = (resident_bytes() - before) / held_open
print(json.dumps({"open_ms": open_ms, "tile_ms": tile_ms, "read_bytes": read, "bytes_per_slide": per_slide}))
