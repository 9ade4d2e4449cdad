// Small pictures of materials, fetched when their place comes into sight, a few at a time.

import { Problem } from "../api/problem.ts";
import type { Tickets } from "../api/tickets.ts";
import type { Material, SlideInfo } from "../api/types.ts";
import { h } from "../dom.ts";
import { icon } from "../icons.ts";
import type { NodeHealth } from "../pixels/replicas.ts";
import { MaterialSource } from "../pixels/source.ts";

const AT_ONCE_MAX = 4;
/** Pictures kept without a frame to show them. */
const KEPT_MAX = 300;
/** A plain picture larger than this is not fetched to be shown small, in bytes. */
const PICTURE_SIZE_MAX = 4e6;
/** A level larger than this is not worth being drawn small, in pixels. */
const LEVEL_SIDE_MAX = 4096;
/** A picture that no node gave is asked for again after this, if it is still in sight. */
const ASK_AGAIN_MS = 5_000;

export class Thumbnails {
  private readonly loads = new Map<string, Promise<HTMLImageElement | undefined>>();
  private readonly frames = new WeakMap<Element, Material>();
  private readonly waiting: (() => void)[] = [];
  private running = 0;
  private readonly sight = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) this.fill(target);
  }, { rootMargin: "200px" });

  constructor(
    private readonly health: NodeHealth,
    private readonly tickets: Tickets,
  ) {}

  /** An empty frame with an icon. */
  frame(): HTMLElement {
    return h("span", { class: "thumb" }, icon("slide"));
  }

  /** Fills the frame once it is in sight and the material can be read. */
  request(frame: HTMLElement, material: Material): void {
    const known = this.frames.get(frame);
    this.frames.set(frame, material);
    const readable = (of?: Material): boolean => of?.replicas.some((replica) => replica.state === "verified") ?? false;
    if (!readable(known) && readable(material)) this.sight.observe(frame);
  }

  private fill(frame: Element): void {
    const material = this.frames.get(frame);
    if (!material) return;
    this.sight.unobserve(frame);
    let load = this.loads.get(material.id);
    if (!load) {
      load = this.turn(() => this.load(material));
      this.loads.set(material.id, load);
      for (const oldest of this.loads.keys()) {
        if (this.loads.size <= KEPT_MAX) break;
        this.loads.delete(oldest);
      }
    }
    load.then(
      (image) => frame.replaceChildren(image ? image.cloneNode() : icon("file")),
      () => {
        this.loads.delete(material.id);
        setTimeout(() => this.sight.observe(frame), ASK_AGAIN_MS);
      },
    );
  }

  private async load(material: Material): Promise<HTMLImageElement | undefined> {
    const source = new MaterialSource(this.health, this.tickets.of(material.id));
    source.update(material.replicas);
    const signal = AbortSignal.timeout(30_000);
    if (material.media_type.startsWith("image/") && material.media_type !== "image/tiff") {
      if (material.size > PICTURE_SIZE_MAX) return undefined;
      return picture(source, `/v1/materials/${material.id}/file`, signal);
    }
    if (material.origin) return undefined; // What a run wrote: figures, tables.
    try {
      const slide = await source.json<SlideInfo>(`/v1/materials/${material.id}/slide`, signal);
      const path = smallPicture(slide);
      return path === undefined ? undefined : await picture(source, path, signal);
    } catch (thrown) {
      if (thrown instanceof Problem && !thrown.retryable) return undefined; // Not a slide, or a damaged one.
      throw thrown;
    }
  }

  private async turn<T>(task: () => Promise<T>): Promise<T> {
    if (this.running >= AT_ONCE_MAX) await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.running += 1;
    try {
      return await task();
    } finally {
      this.running -= 1;
      this.waiting.shift()?.();
    }
  }
}

/** The scanner's own thumbnail, or the smallest Deep Zoom level that fills the frame. */
function smallPicture(slide: SlideInfo): string | undefined {
  const own = slide.associated.find((image) => image.name === "thumbnail");
  if (own) return own.url;
  const smallest = slide.levels.at(-1);
  if (!smallest || Math.max(smallest.width, smallest.height) > LEVEL_SIDE_MAX) return undefined;
  return `/dzi/${slide.id}_files/8/0_0.jpg?tile_size=256&overlap=0`;
}

/** As a small data picture of its own: thumbnails of scanners have a million pixels, and a list has many. */
async function picture(source: MaterialSource, path: string, signal: AbortSignal): Promise<HTMLImageElement> {
  const large = await source.picture(path, signal);
  const scale = Math.min(1, 480 / Math.max(large.naturalWidth, large.naturalHeight));
  const canvas = h("canvas", {
    width: Math.max(1, Math.round(large.naturalWidth * scale)),
    height: Math.max(1, Math.round(large.naturalHeight * scale)),
  });
  canvas.getContext("2d")?.drawImage(large, 0, 0, canvas.width, canvas.height);
  const small = h("img", { alt: "", src: canvas.toDataURL("image/jpeg", 0.85) });
  await small.decode();
  return small;
}
