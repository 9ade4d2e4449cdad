// A slide's grid of tiles: which tiles there are and where they lie. The picture's width counts as 1.

import type { Level } from "../api/types.ts";

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** What a grid needs to know of a level. */
export type GridLevel = Pick<Level, "width" | "height" | "tile_width" | "tile_height" | "columns" | "rows">;

export class Grid {
  /** @param levels largest first, as the API tells them */
  constructor(private readonly levels: readonly GridLevel[]) {
    if (levels.length === 0) throw new Error("a slide has at least one level");
  }

  get count(): number {
    return this.levels.length;
  }

  level(index: number): GridLevel {
    const level = this.levels[index];
    if (level === undefined) throw new RangeError(`the slide has no level ${index}`);
    return level;
  }

  /** How much smaller than level 0, 0 to 1. */
  scale(index: number): number {
    return this.level(index).width / this.level(0).width;
  }

  /** The tile's width and height in pixels without the padding behind the picture's edge. */
  pixels(index: number, column: number, row: number): { width: number; height: number } {
    const level = this.level(index);
    return {
      width: Math.max(0, Math.min(level.tile_width, level.width - column * level.tile_width)),
      height: Math.max(0, Math.min(level.tile_height, level.height - row * level.tile_height)),
    };
  }

  /** Where the tile lies. Heights of levels are rounded by scanners, so each axis has its own scale. */
  box(index: number, column: number, row: number): Box {
    const level = this.level(index);
    const pixels = this.pixels(index, column, row);
    const across = 1 / level.width;
    const down = this.aspect / level.height;
    return {
      x: column * level.tile_width * across,
      y: row * level.tile_height * down,
      width: pixels.width * across,
      height: pixels.height * down,
    };
  }

  /** The tile that holds the point, the nearest one for points outside. */
  at(index: number, x: number, y: number): { column: number; row: number } {
    const level = this.level(index);
    const within = (value: number, end: number): number => Math.min(Math.max(Math.floor(value), 0), end - 1);
    return {
      column: within((x * level.width) / level.tile_width, level.columns),
      row: within((y * level.height) / this.aspect / level.tile_height, level.rows),
    };
  }

  has(index: number, column: number, row: number): boolean {
    const level = this.levels[index];
    return level !== undefined && column >= 0 && row >= 0 && column < level.columns && row < level.rows;
  }

  /** Height for a width of 1. */
  private get aspect(): number {
    return this.level(0).height / this.level(0).width;
  }
}
