"""Slides of every kind that OpenSlide reads, written by the book: a picture, codecs, and the TIFF around them."""

import struct
import zlib
from dataclasses import dataclass, field

import imagecodecs
import numpy as np

NONE, LZW, JPEG, DEFLATE, PACKBITS, J2K_YCBCR, J2K_RGB, ZSTD = 1, 5, 7, 8, 32773, 33003, 33005, 50000


@dataclass
class Kind:
    """What a slide is made of. Sides are in pixels."""

    name: str
    compression: int
    aperio: bool = True
    #: JPEG: the chroma's subsampling, or None for RGB.
    chroma: str | None = None
    #: JPEG: put Adobe's marker into each tile.
    app14: bool = False
    #: JPEG: leave the tables in each tile.
    whole: bool = False
    tile: tuple = (256, 256)
    size: tuple = (2304, 1792)
    predictor: bool = False
    big: bool = False
    big_endian: bool = False
    #: How samples lie: rgb, rgb16, rgba, grey, grey-inverted, grey16, palette, planar.
    form: str = "rgb"
    quality: int = 80
    levels: tuple = (1, 4, 16)
    extra: dict = field(default_factory=dict)

    @property
    def lossless(self):
        return self.compression in (NONE, LZW, DEFLATE, PACKBITS, ZSTD)


def kinds():
    """All of them; names tell what is tried."""
    yield Kind("jpeg-rgb", JPEG, tile=(240, 240), size=(2300, 1700))
    yield Kind("jpeg-rgb-app14-bigtiff", JPEG, app14=True, big=True)
    yield Kind("jpeg-rgb-whole-tiles", JPEG, whole=True, app14=True, tile=(224, 160))
    for chroma in ("444", "422", "420"):
        yield Kind(f"jpeg-ycbcr-{chroma}", JPEG, chroma=chroma, tile=(240, 240), size=(2345, 1811))
    yield Kind("jpeg-ycbcr-420-q30-bigtiff", JPEG, chroma="420", quality=30, big=True, tile=(512, 512))
    yield Kind("jpeg-ycbcr-420-q98", JPEG, chroma="420", quality=98, tile=(208, 304))
    yield Kind("jpeg-ycbcr-422-q98", JPEG, chroma="422", quality=98, tile=(208, 304))
    yield Kind("jpeg-one-level", JPEG, chroma="422", levels=(1,), size=(1237, 811))
    yield Kind("jpeg-odd-downsamples", JPEG, chroma="444", levels=(1, 3.97, 15.8, 31.3))
    yield Kind("deflate-odd-downsamples", DEFLATE, size=(2017, 1523), levels=(1, 3.97, 15.8, 31.3))
    yield Kind("none-hardly-odd-downsamples", NONE, size=(4097, 3073), levels=(1, 4, 16.06, 64))
    yield Kind("none", NONE)
    yield Kind("none-bigtiff", NONE, big=True, size=(1999, 1501))
    yield Kind("deflate", DEFLATE, tile=(240, 240), size=(2111, 1777))
    yield Kind("deflate-predictor", DEFLATE, predictor=True, big=True)
    yield Kind("lzw", LZW, tile=(128, 128))
    yield Kind("lzw-predictor", LZW, predictor=True, tile=(512, 256))
    yield Kind("j2k-rgb", J2K_RGB, tile=(240, 240), size=(2300, 1700))
    yield Kind("j2k-ycbcr", J2K_YCBCR, tile=(240, 240), size=(2300, 1700))
    yield Kind("j2k-rgb-lossless", J2K_RGB, quality=0, tile=(256, 256), big=True)
    generic = dict(aperio=False, levels=(1, 2, 4, 8))
    yield Kind("generic-jpeg-ycbcr-420", JPEG, chroma="420", **generic)
    yield Kind("generic-jpeg-grey", JPEG, form="grey", **generic)
    yield Kind("generic-packbits", PACKBITS, **generic)
    yield Kind("generic-zstd-predictor", ZSTD, predictor=True, **generic)
    yield Kind("generic-deflate-rgba", DEFLATE, form="rgba", **generic)
    yield Kind("generic-lzw-grey", LZW, form="grey", **generic)
    yield Kind("generic-none-grey-inverted", NONE, form="grey-inverted", **generic)
    yield Kind("generic-deflate-rgb16-big-endian-bigtiff", DEFLATE, form="rgb16", big=True, big_endian=True, **generic)
    # libtiff reads tiles of 16-bit grey that go beyond the edge at a wrong step, so none does here.
    yield Kind("generic-deflate-grey16", DEFLATE, form="grey16", aperio=False, levels=(1, 2, 4), tile=(64, 64))
    yield Kind("generic-deflate-palette", DEFLATE, form="palette", **generic)
    yield Kind("generic-deflate-planar", DEFLATE, form="planar", **generic)


# ------------------------------------------------------------------ the picture
def picture(width, height, seed):
    """Something like tissue on glass, with soft gradients, noise, and edges where all channels jump at once."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    rgb = np.full((height, width, 3), 243, np.float32)
    for _ in range(5):
        cx, cy = random.uniform(0.2, 0.8, 2) * (width, height)
        rx, ry = random.uniform(0.15, 0.3, 2) * (width, height)
        inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1 + 0.1 * np.sin(x / 17) * np.cos(y / 23)
        rgb[inside] = random.uniform((190, 90, 140), (235, 170, 210))
    wave = 25 * np.sin(x / 31) + 20 * np.cos(y / 19)
    rgb += np.where(rgb.mean(-1, keepdims=True) < 235, wave[..., None], 0)
    for _ in range(width * height // 2500):
        cx, cy, r = int(random.integers(0, width)), int(random.integers(0, height)), int(random.integers(2, 9))
        rgb[max(0, cy - r):cy + r, max(0, cx - r):cx + r] = random.uniform((40, 20, 90), (110, 70, 190))
    rgb += random.normal(0, 3, rgb.shape)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def smaller(rgb, width, height):
    """Made smaller by picking and averaging; the levels need not be good, only the same for both readers."""
    ys, xs = (np.arange(n) * side // n for n, side in ((height, rgb.shape[0]), (width, rgb.shape[1])))
    picked = rgb[ys][:, xs].astype(np.uint16)
    ys, xs = np.minimum(ys + 1, rgb.shape[0] - 1), np.minimum(xs + 1, rgb.shape[1] - 1)
    return ((picked + rgb[ys][:, xs]) // 2).astype(np.uint8)


# ------------------------------------------------------------------ codecs
def split_jpeg(data):
    """A whole JPEG as its tables from SOI to EOI, and the rest without APPn markers and comments."""
    tables, rest, at = b"", b"", 2
    while data[at + 1] != 0xDA:
        length = 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
        if data[at + 1] in (0xDB, 0xC4):
            tables += data[at:at + length]
        elif not (0xE0 <= data[at + 1] <= 0xEF or data[at + 1] == 0xFE):
            rest += data[at:at + length]
        at += length
    return b"\xff\xd8" + tables + b"\xff\xd9", b"\xff\xd8" + rest + data[at:]


def jpeg(kind, pixels):
    """A JPEG's shared tables, or None, and its tile."""
    options = dict(level=kind.quality)
    if pixels.ndim == 2:
        whole = imagecodecs.jpeg8_encode(pixels, **options)
    elif kind.chroma is None:
        whole = imagecodecs.jpeg8_encode(pixels, colorspace="rgb", outcolorspace="rgb", subsampling="444", **options)
    else:
        whole = imagecodecs.jpeg8_encode(
            pixels, colorspace="rgb", outcolorspace="ycbcr", subsampling=kind.chroma, **options)
    tables, tile = split_jpeg(whole)
    if kind.whole:
        tables, tile = None, tables[:-2] + tile[2:]
    if kind.app14:
        tile = tile[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([kind.chroma is not None]) + tile[2:]
    return tables, tile


def ycbcr(rgb):
    r, g, b = np.moveaxis(rgb.astype(np.float32), -1, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return np.clip(np.rint(np.stack([y, 128 + (b - y) / 1.772, 128 + (r - y) / 1.402], -1)), 0, 255).astype(np.uint8)


def pack(kind, samples):
    """Samples (rows, columns, samples of a pixel) packed as the file has them."""
    order = ">" if kind.big_endian else "<"
    if kind.predictor:
        samples = np.concatenate([samples[:, :1], np.diff(samples, axis=1)], 1)
    raw = np.ascontiguousarray(samples).astype(samples.dtype.newbyteorder(order)).tobytes()
    if kind.compression == PACKBITS:
        # No run goes on into the next row.
        length = len(raw) // samples.shape[0]
        return b"".join(imagecodecs.packbits_encode(raw[at:at + length]) for at in range(0, len(raw), length))
    encode = {DEFLATE: zlib.compress, LZW: imagecodecs.lzw_encode, ZSTD: imagecodecs.zstd_encode}.get(kind.compression)
    return encode(raw) if encode else raw


def formed(kind, rgb):
    """The samples of a picture in the kind's form, with what its tags say of them."""
    grey = (rgb.astype(np.uint16).sum(-1) // 3).astype(np.uint8)
    wide = lambda samples: samples.astype(np.uint16) * 251 + 97
    match kind.form:
        case "rgb":
            return rgb, dict(photometric=6 if kind.chroma else 2)
        case "rgb16":
            return wide(rgb), dict(photometric=2)
        case "rgba":
            alpha = np.where(grey > 235, grey // 3, 255).astype(np.uint8)
            return np.dstack([rgb, alpha]), dict(photometric=2, extra_samples=2)
        case "grey":
            return grey[..., None], dict(photometric=1)
        case "grey-inverted":
            return 255 - grey[..., None], dict(photometric=0)
        case "grey16":
            return wide(grey)[..., None], dict(photometric=1)
        case "palette":
            ramp = np.arange(256, dtype=np.uint16)
            return grey[..., None], dict(photometric=3, palette=np.concatenate([ramp * 257, (255 - ramp) * 200, ramp * 91]))
        case "planar":
            return rgb, dict(photometric=2, planar=True)
    raise ValueError(kind.form)


# ------------------------------------------------------------------ TIFF
class Writer:
    """A TIFF, image after image. Values lie before the directory that names them."""

    def __init__(self, path, big, big_endian):
        self.file, self.big, self.order = open(path, "wb"), big, ">" if big_endian else "<"
        head = b"MM" if big_endian else b"II"
        self.file.write(head + (self.pack("HHHQ", 43, 8, 0, 0) if big else self.pack("HI", 42, 0)))
        self.link = 8 if big else 4

    def pack(self, form, *values):
        return struct.pack(self.order + form, *values)

    def put(self, data):
        """Writes at the end, at an even place."""
        at = self.file.seek(0, 2)
        if at % 2:
            self.file.write(b"\0")
            at += 1
        self.file.write(data)
        return at

    def image(self, fields):
        """A directory of {tag: bytes, text, a number or a list of numbers}; places are told by the type "places"."""
        place = "Q" if self.big else "I"
        room = 8 if self.big else 4
        entries = b""
        for tag, value in sorted(fields.items()):
            if isinstance(value, str):
                kind, count, data = 2, len(value) + 1, value.encode() + b"\0"
            elif isinstance(value, bytes):
                kind, count, data = 7, len(value), value
            elif isinstance(value, tuple):
                kind, count, data = 5, 1, self.pack("II", *value)
            else:
                values = [int(number) for number in np.atleast_1d(value)]
                small = max(values) < 1 << 16 and tag not in (324, 325, 273, 279)
                kind, form = (3, "H") if small else (16, "Q") if self.big else (4, "I")
                count, data = len(values), self.pack(f"{len(values)}{form}", *values)
            if len(data) > room:
                data = self.pack(place, self.put(data))
            entries += self.pack("HH" + place, tag, kind, count) + data.ljust(room, b"\0")
        at = self.put(self.pack("Q" if self.big else "H", len(fields)) + entries + b"\0" * room)
        self.file.seek(self.link)
        self.file.write(self.pack(place, at))
        self.link = at + (8 if self.big else 2) + len(entries)


def write(kind, path, seed):
    """The slide of this kind."""
    out = Writer(path, kind.big, kind.big_endian)
    top = picture(*kind.size, seed)
    for index, downsample in enumerate(kind.levels):
        width, height = (max(1, int(side / downsample)) for side in kind.size)
        level = top if index == 0 else smaller(top, width, height)
        described = {}
        if kind.aperio:
            described[270] = aperio_text(kind, width, height, index)
        elif index == 0:
            described |= {282: (20000, 1), 283: (25000, 1), 296: 3, 305: "agreement", 306: "2024:01:02 03:04:05"}
        if index > 0 and not kind.aperio:
            described[254] = 1
        out.image(described | tiled(kind, out, level) | kind.extra)
        if kind.aperio and index == 0:
            out.image({270: "Aperio Image Library v12\n1x1 -> 1x1 - |AppMag = 20"} | strips(out, smaller(top, 330, 251), JPEG))
    if kind.aperio:
        for name, number, compression in (("label", 1, LZW), ("macro", 9, JPEG)):
            associated = picture(*((301, 277) if name == "label" else (640, 211)), seed + number)
            out.image({254: number, 270: f"Aperio Image Library v12\n{name} 1x1"} | strips(out, associated, compression))
    out.file.close()


def aperio_text(kind, width, height, index):
    across, down = kind.size
    text = f"Aperio Image Library v12.0.15 \r\n{across}x{down} [0,0 {across}x{down}] ({kind.tile[0]}x{kind.tile[1]})"
    if index > 0:
        return f"{text} -> {width}x{height} Q=80"
    return text + " Q=80|AppMag = 20|StripeWidth = 992|MPP = 0.4990|Left = 25.691574|Title = a = b|Empty = |Date = 12/29/09"


def tiled(kind, out, rgb):
    """The fields of a level; its tiles are written, those at the edge repeat the last pixels."""
    samples, form = formed(kind, rgb)
    (height, width), (across, down) = samples.shape[:2], kind.tile
    samples = np.pad(samples, ((0, -height % down), (0, -width % across), (0, 0)), "edge")
    planes = np.split(samples, 3, -1) if form.get("planar") else [samples]
    places, lengths, tables = [], [], None
    for plane in planes:
        for y in range(0, height, down):
            for x in range(0, width, across):
                tile = np.ascontiguousarray(plane[y:y + down, x:x + across])
                if kind.compression == JPEG:
                    tables, data = jpeg(kind, np.squeeze(tile))
                elif kind.compression == J2K_RGB:
                    lossy = dict(level=kind.quality / 2, reversible=False) if kind.quality else dict(reversible=True)
                    data = imagecodecs.jpeg2k_encode(tile, codecformat="j2k", mct=True, resolutions=5, **lossy)
                elif kind.compression == J2K_YCBCR:
                    data = imagecodecs.jpeg2k_encode(ycbcr(tile), codecformat="j2k", mct=False, resolutions=5,
                                                     level=kind.quality / 2, reversible=False)
                else:
                    data = pack(kind, tile)
                places.append(out.put(data))
                lengths.append(len(data))
    count = samples.shape[-1]
    fields = {256: width, 257: height, 258: [samples.dtype.itemsize * 8] * count, 259: kind.compression,
              262: form["photometric"], 277: count, 322: across, 323: down, 324: places, 325: lengths}
    if kind.compression == JPEG and kind.chroma:
        fields[530] = [int(kind.chroma[1] != "4") + 1, int(kind.chroma[2] == "0") + 1]
    if tables:
        fields[347] = tables
    if kind.predictor:
        fields[317] = 2
    if "extra_samples" in form:
        fields[338] = form["extra_samples"]
    if "palette" in form:
        fields[320] = form["palette"]
    if form.get("planar"):
        fields[284] = 2
    return fields


def strips(out, rgb, compression, rows=16):
    """The fields of a picture beside the pyramid."""
    kind = Kind("", compression, predictor=compression == LZW)
    places, lengths, tables = [], [], None
    for y in range(0, rgb.shape[0], rows):
        strip = np.ascontiguousarray(rgb[y:y + rows])
        if compression == JPEG:
            tables, data = jpeg(kind, strip)
        else:
            data = pack(kind, strip)
        places.append(out.put(data))
        lengths.append(len(data))
    fields = {256: rgb.shape[1], 257: rgb.shape[0], 258: [8] * 3, 259: compression, 262: 2, 277: 3, 278: rows,
              273: places, 279: lengths}
    return fields | ({347: tables} if tables else {317: 2})
