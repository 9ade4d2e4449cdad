// The levels that the viewer is offered: the file's own, and below them some that a node draws where even the smallest
// own one has many tiles. OpenSeadragon loads the smallest level wherever it looks and keeps all of it: a flat file of
// 50,000 pixels a side would fill the memory with 38,000 tiles.

import { Problem } from "../api/problem.ts";
import type { SlideInfo } from "../api/types.ts";
import type { GridLevel } from "./grid.ts";

/** Tiles that may stay in memory for good. */
const SMALLEST_TILES_MAX = 256;
/** Beyond this the slide is not opened: seen as a whole it would be too much for the browser. */
const OPENED_TILES_MAX = 4_096;
/** Side of a drawn tile, in pixels: at the largest downsample it stands for 4096 × 4096, which a node draws readily. */
const DRAWN_TILE_SIZE = 256;
/** Halvings from one drawn level to the next: a quarter of each side, as scanners do it. */
const STEP = 2;
/** Halvings below the smallest own level, at most: a downsample of 16. Nodes refuse to draw from far more pixels. */
const HALVINGS_MAX = 4;

/** The code of a slide that has no level small enough to be seen as a whole. */
export const NO_SMALL_LEVELS = "no_small_levels";

export interface PyramidLevel extends GridLevel {
  /** The path of a tile, with `{col}` and `{row}`. */
  tiles: string;
  /** Whether a node draws each tile from many, which takes its time. */
  drawn: boolean;
}

/** The file's own levels and the drawn ones, largest first. */
export function pyramid(slide: SlideInfo): PyramidLevel[] {
  const levels = slide.levels.map((level, index): PyramidLevel => {
    return { ...level, tiles: slide.tiles.replace("{level}", String(index)), drawn: false };
  });
  const smallest = slide.levels.at(-1);
  if (!smallest) return levels;
  // A level's downsample may be a hair less than the power of two that is meant.
  const halved = Math.floor(Math.log2(smallest.downsample) + 0.01);
  for (let below = STEP; below <= HALVINGS_MAX; below += STEP) {
    if (smallestTiles(levels) <= SMALLEST_TILES_MAX) break;
    levels.push(drawnLevel(slide, halved + below));
  }
  return levels;
}

/** Why the slide cannot be opened, if it cannot. */
export function tooFlat(slide: SlideInfo): Problem | undefined {
  if (smallestTiles(pyramid(slide)) <= OPENED_TILES_MAX) return undefined;
  const smallest = slide.levels.at(-1);
  return new Problem(
    422,
    NO_SMALL_LEVELS,
    "The slide has no small levels",
    `the smallest picture in the file has ${smallest?.width} × ${smallest?.height} pixels, too many to be seen as a whole`,
    "Store it as a pyramid: a TIFF that also holds smaller versions of the picture. The file itself can be downloaded.",
  );
}

function smallestTiles(levels: readonly GridLevel[]): number {
  const smallest = levels.at(-1);
  return smallest ? smallest.columns * smallest.rows : 0;
}

/** A Deep Zoom level, `halvings` below the slide's level 0. */
function drawnLevel({ id, width, height }: SlideInfo, halvings: number): PyramidLevel {
  // Deep Zoom counts from a single pixel up: as many levels as it takes to halve the longer side down to 1.
  const top = Math.ceil(Math.log2(Math.max(width, height)));
  // Halving and rounding up again and again gives the same as doing it once.
  const side = (of: number): number => Math.ceil(of / 2 ** halvings);
  return {
    width: side(width),
    height: side(height),
    tile_width: DRAWN_TILE_SIZE,
    tile_height: DRAWN_TILE_SIZE,
    columns: Math.ceil(side(width) / DRAWN_TILE_SIZE),
    rows: Math.ceil(side(height) / DRAWN_TILE_SIZE),
    tiles: `/dzi/${id}_files/${top - halvings}/{col}_{row}.jpg?tile_size=${DRAWN_TILE_SIZE}&overlap=0`,
    drawn: true,
  };
}
