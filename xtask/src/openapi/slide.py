"""Writes a picture that is read as a slide: a PNG of 1024 × 768 pixels."""

import struct
import sys
import zlib

WIDTH, HEIGHT = 1024, 768


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def rows():
    for y in range(HEIGHT):
        yield b"\0" + bytes(value for x in range(WIDTH) for value in (x // 4, y // 4, (x ^ y) % 256))


head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
with open(sys.argv[1], "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head))
    file.write(chunk(b"IDAT", zlib.compress(b"".join(rows()))) + chunk(b"IEND", b""))
