import assert from "node:assert/strict";
import { test } from "node:test";
import type { Level } from "../../app/api/types.ts";
import { Grid } from "../../app/pixels/grid.ts";

function level(width: number, height: number, side = 240): Level {
  const columns = Math.ceil(width / side);
  const rows = Math.ceil(height / side);
  const rest = { compression: "jpeg", native: true, downsample: 1 };
  return { width, height, tile_width: side, tile_height: side, columns, rows, ...rest };
}

// A scanner rounds each level down: 2967 / 4 is 741.75.
const GRID = new Grid([level(2220, 2967), level(555, 741), level(138, 185, 256)]);

test("tiles cover each level without gap and overlap, whatever the scanner rounded", () => {
  const aspect = 2967 / 2220;
  for (let index = 0; index < GRID.count; index += 1) {
    const { columns, rows } = GRID.level(index);
    for (let column = 0; column + 1 < columns; column += 1) {
      const [left, right] = [GRID.box(index, column, 0), GRID.box(index, column + 1, 0)];
      assert.ok(Math.abs(left.x + left.width - right.x) < 1e-12);
    }
    const last = GRID.box(index, columns - 1, rows - 1);
    assert.ok(Math.abs(last.x + last.width - 1) < 1e-12, `level ${index} ends at ${last.x + last.width}`);
    assert.ok(Math.abs(last.y + last.height - aspect) < 1e-12, `level ${index} ends at ${last.y + last.height}`);
  }
});

test("an edge tile is cropped to what lies inside the slide", () => {
  assert.deepEqual(GRID.pixels(0, 9, 12), { width: 60, height: 87 });
  assert.deepEqual(GRID.pixels(0, 0, 0), { width: 240, height: 240 });
  assert.deepEqual(GRID.pixels(2, 0, 0), { width: 138, height: 185 });
});

test("the tile at a point is the one whose box holds it", () => {
  for (let index = 0; index < GRID.count; index += 1) {
    const { columns, rows } = GRID.level(index);
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const box = GRID.box(index, column, row);
        const found = GRID.at(index, box.x + box.width / 2, box.y + box.height / 2);
        assert.deepEqual(found, { column, row });
      }
    }
  }
  assert.deepEqual(GRID.at(0, 1, 2967 / 2220), { column: 9, row: 12 });
  assert.deepEqual(GRID.at(0, -0.1, 5), { column: 0, row: 12 });
});

test("only tiles of the slide's own grid are there", () => {
  assert.ok(GRID.has(1, 2, 3));
  for (const [index, column, row] of [[1, 3, 0], [1, 0, 4], [3, 0, 0], [-1, 0, 0], [0, -1, 0]] as const) {
    assert.ok(!GRID.has(index, column, row), `${index} ${column} ${row}`);
  }
});
