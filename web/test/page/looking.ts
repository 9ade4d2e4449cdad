// What a person would see: is there tissue on the canvas, which tiles came from where.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import type { SlideInfo } from "../../app/api/types.ts";
import { parsePosition } from "../../app/viewer/position.ts";

const PICTURES = process.env["MICROTOME_SCREENSHOTS"] ?? join(import.meta.dirname, "..", "..", "..", "..", "..", "..", "target", "page");

/** Waiting for something on a busy machine. */
export const PATIENCE_MS = 240_000;

export async function photograph(page: Page, name: string): Promise<void> {
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`), timeout: PATIENCE_MS });
}

/**
 * Waits until at least this share of the canvas has colour (glass is grey), and nothing within the slide is unpainted:
 * no hole lies in the rectangle around all that is painted. What lies beside the slide stays empty, so a whole side of
 * the view that is still missing is not noticed. The view must be turned by right angles only.
 */
export async function waitForTissue(page: Page, canvas: string, share: number): Promise<void> {
  await page.waitForFunction(
    ({ canvas: selector, share: wanted }) => {
      const element = document.querySelector<HTMLCanvasElement>(selector);
      if (!element || element.width < 2) return false;
      // Looked at in small: reading every pixel again and again would leave a busy machine no time to paint.
      const small = Object.assign(document.createElement("canvas"), { width: 120, height: 80 });
      const context = small.getContext("2d", { willReadFrequently: true })!;
      context.imageSmoothingQuality = "medium"; // Means, not samples: a seam between two tiles is no hole.
      context.drawImage(element, 0, 0, small.width, small.height);
      const { data } = context.getImageData(0, 0, small.width, small.height);
      const holes: [number, number][] = [];
      let [coloured, left, top, right, bottom] = [0, small.width, small.height, 0, 0];
      for (let i = 0; i < data.length; i += 4) {
        const [red = 0, green = 0, blue = 0, alpha = 0] = data.subarray(i, i + 4);
        const [x, y] = [(i / 4) % small.width, Math.floor(i / 4 / small.width)];
        if (alpha < 200 || Math.max(red, green, blue) < 8) {
          holes.push([x, y]);
          continue;
        }
        [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
        if (Math.max(red, green, blue) - Math.min(red, green, blue) > 30) coloured += 1;
      }
      // The slide's own edge covers its pixels in part only.
      if (holes.some(([x, y]) => x > left && x < right && y > top && y < bottom)) return false;
      return coloured / (data.length / 4) >= wanted;
    },
    { canvas, share },
    { timeout: PATIENCE_MS, polling: 500 },
  );
}

/** Collects the native tiles that arrive. */
export class TileLog {
  /** Path of the tile to the origin that gave it last. */
  readonly tiles = new Map<string, string>();
  readonly problems: string[] = [];

  constructor(page: Page) {
    page.on("response", (response) => {
      const { pathname, origin } = new URL(response.url());
      if (!/^\/tiles\/[^/]+\/\d+\/\d+_\d+\.jpg$/.test(pathname)) return;
      if (response.status() !== 200 && response.status() !== 304) this.problems.push(`${response.status()} ${pathname}`);
      else if (response.headers()["microtome-tile"] !== "native") this.problems.push(`not native: ${pathname}`);
      else this.tiles.set(pathname, origin);
    });
  }

  count(origin?: string): number {
    return [...this.tiles.values()].filter((from) => origin === undefined || from === origin).length;
  }

  /** Waits until all these tiles have come. */
  async waitFor(page: Page, paths: string[]): Promise<void> {
    const missing = (): string[] => paths.filter((path) => !this.tiles.has(path));
    const signal = AbortSignal.timeout(PATIENCE_MS);
    while (missing().length > 0) {
      if (signal.aborted) throw new Error(`tiles never came: ${missing().join(", ")}`);
      await page.waitForEvent("response", { timeout: PATIENCE_MS });
    }
  }
}

/** Tiles of level 0 that the view at the page's address shows. */
export async function tilesInView(page: Page, slide: SlideInfo): Promise<string[]> {
  const position = parsePosition(new URL(page.url()).hash);
  const box = await page.locator(".canvas").boundingBox();
  const [level] = slide.levels;
  if (!position || !box || !level) throw new Error(`the page shows no place on the slide: ${page.url()}`);
  const across = box.width / position.zoom / 2;
  const down = box.height / position.zoom / 2;
  const range = (from: number, to: number, size: number, end: number): number[] => {
    const first = Math.max(0, Math.floor(from / size));
    const last = Math.min(end - 1, Math.floor(to / size));
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  };
  const columns = range(position.x - across + 2, position.x + across - 2, level.tile_width, level.columns);
  const rows = range(position.y - down + 2, position.y + down - 2, level.tile_height, level.rows);
  return rows.flatMap((row) => columns.map((column) => `/tiles/${slide.id}/0/${column}_${row}.jpg`));
}
