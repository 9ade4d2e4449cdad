import assert from "node:assert/strict";
import { test } from "node:test";
import type { Level, SlideInfo } from "../../app/api/types.ts";
import { NO_SMALL_LEVELS, pyramid, tooFlat } from "../../app/pixels/pyramid.ts";

/** A slide of so many pixels, with levels at these downsamples, rounded down as scanners do it. */
function slide(width: number, height: number, downsamples: number[], side = 256): SlideInfo {
  const levels = downsamples.map((downsample): Level => {
    const size = { width: Math.floor(width / downsample), height: Math.floor(height / downsample) };
    const grid = { columns: Math.ceil(size.width / side), rows: Math.ceil(size.height / side) };
    const rest = { downsample: width / size.width, compression: "jpeg", native: true };
    return { ...size, ...grid, tile_width: side, tile_height: side, ...rest };
  });
  const tiles = "/tiles/m-1/{level}/{col}_{row}.jpg";
  return { id: "m-1", name: "a", vendor: "generic-tiff", width, height, levels, associated: [], tiles };
}

test("a slide with small levels is offered as it is", () => {
  const levels = pyramid(slide(46_000, 32_914, [1, 4, 16]));
  assert.deepEqual(levels.map((level) => level.drawn), [false, false, false]);
  assert.equal(levels[2]?.tiles, "/tiles/m-1/2/{col}_{row}.jpg");
});

// A flat file of 50,000 pixels a side had the browser load and keep 38,000 tiles to show it as a whole.
test("a flat slide gets drawn levels, each a quarter of the one before", () => {
  const flat = slide(50_000, 50_000, [1]);
  const [own, ...drawn] = pyramid(flat);
  assert.equal((own?.columns ?? 0) * (own?.rows ?? 0), 38_416);
  assert.deepEqual(drawn, [
    {
      width: 12_500,
      height: 12_500,
      tile_width: 256,
      tile_height: 256,
      columns: 49,
      rows: 49,
      // Level 16 is the whole slide: 2 ** 16 is the first power of two that is no less than 50,000.
      tiles: "/dzi/m-1_files/14/{col}_{row}.jpg?tile_size=256&overlap=0",
      drawn: true,
    },
    {
      width: 3_125,
      height: 3_125,
      tile_width: 256,
      tile_height: 256,
      columns: 13,
      rows: 13,
      tiles: "/dzi/m-1_files/12/{col}_{row}.jpg?tile_size=256&overlap=0",
      drawn: true,
    },
  ]);
  assert.equal(tooFlat(flat), undefined);
});

test("no more is drawn than is needed", () => {
  assert.equal(pyramid(slide(16 * 256, 16 * 256, [1])).length, 1);
  const [, drawn, ...rest] = pyramid(slide(16 * 256 + 1, 16 * 256, [1]));
  // As Deep Zoom has it: rounded up, and counted from one pixel (level 0) to 4097 (level 13).
  assert.deepEqual([drawn?.width, drawn?.height, drawn?.columns, drawn?.rows], [1_025, 1_024, 5, 4]);
  assert.match(drawn?.tiles ?? "", /_files\/11\//);
  assert.equal(rest.length, 0);
});

test("drawn levels go on where the file's own end, and never lie further than 16 below", () => {
  for (const downsamples of [[1, 4], [1, 2], [1, 3]]) {
    const whole = slide(200_001, 150_001, downsamples);
    const levels = pyramid(whole);
    const smallest = whole.levels.at(-1)!;
    const drawn = levels.filter((level) => level.drawn);
    assert.ok(drawn.length > 0);
    for (const level of drawn) {
      const ratio = smallest.width / level.width;
      assert.ok(ratio > 2 && ratio < 16.01, `${ratio} below a downsample of ${smallest.downsample}`);
    }
  }
});

test("a slide that is too large even so is refused, with a way out", () => {
  const problem = tooFlat(slide(300_000, 300_000, [1]));
  assert.equal(problem?.code, NO_SMALL_LEVELS);
  assert.equal(problem.retryable, false);
  assert.ok(problem.detail.includes("300000 × 300000"), problem.detail);
  assert.equal(tooFlat(slide(300_000, 300_000, [1, 4, 16])), undefined);
});
