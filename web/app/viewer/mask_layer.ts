// A mask over the slide: white in the mask is coloured on the slide, black is left alone.

import { h } from "../dom.ts";
import type { SlideViewer } from "./slide_viewer.ts";

export interface MaskStyle {
  /** `#rrggbb` */
  colour: string;
  /** 0 to 1 */
  opacity: number;
}

export class MaskLayer {
  readonly element = h("canvas", { class: "mask-layer", "aria-hidden": "true" });
  private mask: ImageBitmap | undefined;
  private tinted: HTMLCanvasElement | undefined;
  private style: MaskStyle = { colour: "#00a37a", opacity: 0.4 };

  constructor(private readonly viewer: SlideViewer) {
    viewer.onChange(() => this.draw());
  }

  /** Shows the mask, or none. It covers the whole slide, whatever its size. */
  show(mask: ImageBitmap | undefined): void {
    this.mask = mask;
    this.tint();
    this.draw();
  }

  restyle(style: MaskStyle): void {
    const recoloured = style.colour !== this.style.colour;
    this.style = { ...style };
    if (recoloured) this.tint();
    this.draw();
  }

  private tint(): void {
    this.tinted = undefined;
    if (!this.mask) return;
    const { width, height } = this.mask;
    const canvas = h("canvas", { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) return;
    context.drawImage(this.mask, 0, 0);
    const image = context.getImageData(0, 0, width, height);
    const colour = Number.parseInt(this.style.colour.slice(1), 16);
    const { data } = image;
    for (let i = 0; i < data.length; i += 4) {
      const covered = ((data[i] ?? 0) * (data[i + 3] ?? 0)) / 255;
      data[i] = colour >> 16;
      data[i + 1] = (colour >> 8) & 255;
      data[i + 2] = colour & 255;
      data[i + 3] = covered;
    }
    context.putImageData(image, 0, 0);
    this.tinted = canvas;
  }

  private draw(): void {
    const { element, tinted } = this;
    const { slide, transform } = this.viewer;
    const ratio = window.devicePixelRatio;
    const width = Math.round(element.clientWidth * ratio);
    const height = Math.round(element.clientHeight * ratio);
    if (element.width !== width || element.height !== height) Object.assign(element, { width, height });
    const context = element.getContext("2d");
    if (!context) return;
    context.resetTransform();
    context.clearRect(0, 0, width, height);
    if (!tinted || !slide || !transform) return;
    context.scale(ratio, ratio);
    context.transform(...transform);
    context.globalAlpha = this.style.opacity;
    context.drawImage(tinted, 0, 0, slide.width, slide.height);
  }
}
