// The slide's pyramid for OpenSeadragon, its tiles loaded from whichever node answers. OpenSeadragon counts levels from
// the smallest, the API from the largest.

import OpenSeadragon from "openseadragon";
import { Problem } from "../api/problem.ts";
import type { SlideInfo } from "../api/types.ts";
import { Grid } from "./grid.ts";
import { type PyramidLevel, pyramid } from "./pyramid.ts";
import { DRAWN, type MaterialSource, SENT } from "./source.ts";

/** What stands in a failed tile's message when asking again is of no use. */
export const FINAL = "final";

export class SlideTileSource extends OpenSeadragon.TileSource {
  private readonly pyramid: readonly PyramidLevel[];
  private readonly grid: Grid;

  constructor(slide: SlideInfo, private readonly source: MaterialSource) {
    const levels = pyramid(slide);
    const grid = new Grid(levels);
    const { width, height, tile_width: tileWidth, tile_height: tileHeight } = grid.level(0);
    super({ width, height, tileWidth, tileHeight, tileOverlap: 0, minLevel: 0, maxLevel: grid.count - 1 });
    this.pyramid = levels;
    this.grid = grid;
  }

  override getLevelScale(level: number): number {
    return this.grid.scale(this.own(level));
  }

  override getTileWidth(level: number): number {
    return this.grid.level(this.own(level)).tile_width;
  }

  override getTileHeight(level: number): number {
    return this.grid.level(this.own(level)).tile_height;
  }

  override getNumTiles(level: number): OpenSeadragon.Point {
    const { columns, rows } = this.grid.level(this.own(level));
    return new OpenSeadragon.Point(columns, rows);
  }

  override getTileBounds(level: number, x: number, y: number, isSource?: boolean): OpenSeadragon.Rect {
    if (isSource) {
      const { width, height } = this.grid.pixels(this.own(level), x, y);
      return new OpenSeadragon.Rect(0, 0, width, height);
    }
    const box = this.grid.box(this.own(level), x, y);
    return new OpenSeadragon.Rect(box.x, box.y, box.width, box.height);
  }

  // OpenSeadragon's declaration says that a tile comes back; its code gives and takes a point.
  override getTileAtPoint(level: number, point: OpenSeadragon.Point): never {
    const { column, row } = this.grid.at(this.own(level), point.x, point.y);
    return new OpenSeadragon.Point(column, row) as never;
  }

  override tileExists(level: number, x: number, y: number): boolean {
    return this.grid.has(this.own(level), x, y);
  }

  override hasTransparency(): boolean {
    return false;
  }

  /** A path: the node is chosen when the tile is loaded, so a loaded tile is known by the same name on every node. */
  override getTileUrl(level: number, x: number, y: number): string {
    return (this.pyramid[this.own(level)]?.tiles ?? "").replace("{col}", String(x)).replace("{row}", String(y));
  }

  override downloadTileStart(job: OpenSeadragon.ImageJob): void {
    const abort = new AbortController();
    job.userData.abort = abort;
    const drawn = this.pyramid[this.own(job.tile.level)]?.drawn;
    this.source.picture(job.src, abort.signal, drawn ? DRAWN : SENT).then(
      (image) => job.finish(image, null, "image"),
      (thrown: unknown) => {
        if (abort.signal.aborted) return;
        const final = thrown instanceof Problem && !thrown.retryable;
        job.fail(`${final ? FINAL : "later"}: ${String(thrown)}`, null);
      },
    );
  }

  override downloadTileAbort(job: OpenSeadragon.ImageJob): void {
    (job.userData.abort as AbortController | undefined)?.abort();
  }

  private own(level: number): number {
    return this.grid.count - 1 - level;
  }
}
