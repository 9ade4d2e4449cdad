// OpenSeadragon with the few things that Microtome asks of it, in pixels of the slide's level 0.

import OpenSeadragon from "openseadragon";
import type { SlideInfo } from "../api/types.ts";
import type { MaterialSource } from "../pixels/source.ts";
import { FINAL, SlideTileSource } from "../pixels/tile_source.ts";
import type { Position } from "./position.ts";

/** Decoded tiles kept: a large screen between two levels that lie a factor of four apart needs some 700. */
const TILES_KEPT_MAX = 1_200;
/** Requests under way; the browser allows six to each node. */
const TILES_LOADING_MAX = 18;
/** Longer than three copies together may take: the page's own limits are meant to end a request, not this one. */
const TILE_WITHIN_MS = 90_000;
/** Tiles that no node gave are asked for again after this. */
const ASK_AGAIN_MS = 1_000;

/** From level 0 to the screen: `[a, b, c, d, e, f]` as a canvas takes it. */
export type Transform = [number, number, number, number, number, number];

export class SlideViewer {
  /** The slide that is shown, from the moment its first view stands. */
  slide: SlideInfo | undefined;
  private readonly osd: OpenSeadragon.Viewer;
  private readonly missing = new Set<OpenSeadragon.Tile>();
  private readonly listeners: (() => void)[] = [];
  private askAgain: ReturnType<typeof setTimeout> | undefined;

  constructor(element: HTMLElement, navigator: HTMLElement) {
    this.osd = OpenSeadragon({
      element,
      navigatorElement: navigator,
      showNavigator: true,
      navigatorAutoFade: false,
      navigatorRotate: false,
      showNavigationControl: false,
      imageLoaderLimit: TILES_LOADING_MAX,
      maxImageCacheCount: TILES_KEPT_MAX,
      maxTilesPerFrame: 8,
      timeout: TILE_WITHIN_MS,
      animationTime: 0.6,
      springStiffness: 9,
      zoomPerScroll: 1.3,
      minZoomImageRatio: 0.7,
      maxZoomPixelRatio: 4,
      visibilityRatio: 0.4,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsTouch: { pinchRotate: false },
    });
    // Keys are the page's own affair: they work wherever the focus is.
    this.osd.addHandler("canvas-key", (event) => {
      event.preventDefaultAction = true;
    });
    for (const event of ["open", "update-viewport", "resize", "animation-finish"] as const) {
      this.osd.addHandler(event, () => this.tell());
    }
    this.watchFailures(this.osd);
    if (this.osd.navigator) this.watchFailures(this.osd.navigator);
  }

  /** Called after each change of the view. */
  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Called when the view has come to rest. */
  onRest(listener: () => void): void {
    this.osd.addHandler("animation-finish", listener);
  }

  show(slide: SlideInfo, source: MaterialSource, position: Position | undefined): void {
    this.slide = undefined;
    this.osd.addOnceHandler("open", () => {
      this.slide = slide;
      this.osd.navigator?.updateSize(); // It was measured before it stood in its place.
      this.osd.viewport.setRotation(position?.rotation ?? 0, true);
      if (position) this.goTo(position, true);
      else this.osd.viewport.goHome(true);
      this.tell();
    });
    this.osd.open(new SlideTileSource(slide, source) as never);
  }

  close(): void {
    this.slide = undefined;
    this.missing.clear();
    this.osd.close();
    this.tell();
  }

  /** Screen pixels per pixel of level 0. */
  get zoom(): number {
    return this.osd.viewport.getZoom(true) * this.zoomUnit;
  }

  /** The zoom that shows the whole slide. */
  get fitZoom(): number {
    const size = this.osd.viewport.getContainerSize();
    const slide = this.slide;
    return slide ? Math.min(size.x / slide.width, size.y / slide.height) : 1;
  }

  zoomTo(zoom: number): void {
    this.osd.viewport.zoomTo(zoom / this.zoomUnit).applyConstraints();
  }

  zoomBy(factor: number): void {
    this.osd.viewport.zoomBy(factor).applyConstraints();
  }

  /** Moves by shares of what is seen. */
  panBy(across: number, down: number): void {
    const { viewport } = this.osd;
    const bounds = viewport.getBoundsNoRotate();
    const delta = new OpenSeadragon.Point(across * bounds.width, down * bounds.height).rotate(-viewport.getRotation());
    viewport.panBy(delta).applyConstraints();
  }

  rotateBy(degrees: number): void {
    this.osd.viewport.rotateBy(degrees).applyConstraints();
  }

  home(): void {
    this.osd.viewport.setRotation(0);
    this.osd.viewport.goHome();
  }

  /** Where the view goes to, not where an animation stands just now. */
  get position(): Position | undefined {
    const { slide } = this;
    if (!slide) return undefined;
    const centre = this.osd.viewport.getCenter(false);
    return {
      x: centre.x * slide.width,
      y: centre.y * slide.width,
      zoom: this.osd.viewport.getZoom(false) * this.zoomUnit,
      rotation: this.osd.viewport.getRotation(),
    };
  }

  goTo(position: Position, immediately = false): void {
    const { slide } = this;
    if (!slide) return;
    const { viewport } = this.osd;
    viewport.setRotation(position.rotation, immediately);
    viewport.zoomTo(position.zoom / this.zoomUnit, undefined, immediately);
    viewport.panTo(new OpenSeadragon.Point(position.x / slide.width, position.y / slide.width), immediately);
    viewport.applyConstraints(immediately);
  }

  /** From pixels of level 0 to pixels of the viewer's element. */
  get transform(): Transform | undefined {
    const { slide } = this;
    if (!slide) return undefined;
    const at = (x: number, y: number): OpenSeadragon.Point =>
      this.osd.viewport.pixelFromPoint(new OpenSeadragon.Point(x, y), true);
    const origin = at(0, 0);
    const across = at(1, 0).minus(origin).divide(slide.width);
    const down = at(0, 1).minus(origin).divide(slide.width);
    return [across.x, across.y, down.x, down.y, origin.x, origin.y];
  }

  /** Asks again for the tiles that no node gave: another node may hold them now. */
  retryMissing(): void {
    clearTimeout(this.askAgain);
    this.askAgain = undefined;
    if (this.missing.size === 0) return;
    for (const tile of this.missing) {
      tile.exists = true;
      tile.unload(true); // Where it counts as loaded there is nothing in it.
    }
    this.missing.clear();
    // A view at rest, all of whose tiles have come or failed, counts as complete: a redraw alone asks for nothing more.
    this.osd.world.update(true);
    this.osd.navigator?.world.update(true);
  }

  private watchFailures(viewer: OpenSeadragon.Viewer): void {
    viewer.addHandler("tile-load-failed", ({ tile, message }) => {
      if (!message.startsWith(FINAL)) this.miss(tile);
    });
    // A picture that came but could not be made ready to be drawn is told of in no other way.
    for (const event of ["tile-loaded", "tile-unloaded"] as const) {
      viewer.addHandler(event, ({ tile }) => {
        if (!tile.exists) this.miss(tile);
      });
    }
  }

  private miss(tile: OpenSeadragon.Tile): void {
    this.missing.add(tile);
    this.askAgain ??= setTimeout(() => this.retryMissing(), ASK_AGAIN_MS);
  }

  /** OpenSeadragon's zoom 1 shows the picture as wide as the viewer. */
  private get zoomUnit(): number {
    return this.osd.viewport.getContainerSize().x / (this.slide?.width ?? 1);
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}
