"""Writes the validator's picture as an Aperio-style slide: a grid of flat squares of 100 pixels in the validator's own
colours, JPEG tiles of quality 95 without subsampling, a level of a quarter beside the first."""

import io
import struct
import sys

from iiif_validator.validator import ValidationInfo
from PIL import Image

SQUARE, TILE = 100, 256
ASCII, SHORT, LONG = 2, 3, 4


def picture():
    colours = ValidationInfo().colorInfo
    whole = Image.new("RGB", (SQUARE * len(colours), SQUARE * len(colours[0])))
    for column, squares in enumerate(colours):
        for row, colour in enumerate(squares):
            whole.paste(colour, (column * SQUARE, row * SQUARE, (column + 1) * SQUARE, (row + 1) * SQUARE))
    return whole


def tiles(level):
    for top in range(0, level.height, TILE):
        for left in range(0, level.width, TILE):
            tile = Image.new("RGB", (TILE, TILE))
            tile.paste(level.crop((left, top, min(left + TILE, level.width), min(top + TILE, level.height))))
            jpeg = io.BytesIO()
            tile.save(jpeg, "JPEG", quality=95, subsampling=0)
            yield jpeg.getvalue()


def write(path, levels):
    out = bytearray(b"II*\0\0\0\0\0")
    link = 4
    for level in levels:
        places, lengths = [], []
        for tile in tiles(level):
            places.append(len(out))
            lengths.append(len(tile))
            out += tile
        text = b"Aperio Image Library v10.0.51\r\n1000x1000 (256x256) JPEG/RGB Q=95|AppMag = 20|MPP = 0.5\0"
        fields = [
            (256, LONG, [level.width]),
            (257, LONG, [level.height]),
            (258, SHORT, [8, 8, 8]),
            (259, SHORT, [7]),
            (262, SHORT, [6]),
            (270, ASCII, text),
            (277, SHORT, [3]),
            (322, LONG, [TILE]),
            (323, LONG, [TILE]),
            (324, LONG, places),
            (325, LONG, lengths),
            (530, SHORT, [1, 1]),
        ]
        entries = bytearray()
        for tag, kind, values in fields:
            packed = values if kind == ASCII else struct.pack(f"<{len(values)}{'H' if kind == SHORT else 'I'}", *values)
            entries += struct.pack("<HHI", tag, kind, len(values))
            if len(packed) <= 4:
                entries += packed.ljust(4, b"\0")
            else:
                out += bytes(len(out) % 2)
                entries += struct.pack("<I", len(out))
                out += packed
        out += bytes(len(out) % 2)
        out[link : link + 4] = struct.pack("<I", len(out))
        out += struct.pack("<H", len(fields)) + entries
        link = len(out)
        out += bytes(4)
    with open(path, "wb") as file:
        file.write(out)


whole = picture()
write(sys.argv[1], [whole, whole.resize((whole.width // 4, whole.height // 4), Image.Resampling.BOX)])
