// The viewer with everything that floats on it.

import { h, setShown, setText } from "../dom.ts";
import { createCursorReadout } from "./cursor.ts";
import { createMagnifier } from "./magnifier.ts";
import { MaskLayer } from "./mask_layer.ts";
import { createScaleBar } from "./scale_bar.ts";
import { SlideViewer } from "./slide_viewer.ts";
import { createToolbar, toggleFullscreen } from "./toolbar.ts";

export class Stage {
  readonly viewer: SlideViewer;
  readonly mask: MaskLayer;
  private readonly title = h("h1", { class: "slide-title glass" });

  /** @param element stands in the page already: OpenSeadragon measures it */
  constructor(private readonly element: HTMLElement, copyLink: () => void) {
    const canvas = h("div", { class: "canvas" });
    const navigator = h("div", { class: "navigator glass", "aria-hidden": "true" });
    element.append(canvas, navigator);
    this.viewer = new SlideViewer(canvas, navigator);
    this.mask = new MaskLayer(this.viewer);
    const toolbar = createToolbar(this.viewer, { copyLink, fullscreen: () => this.toggleFullscreen() });
    element.append(
      this.mask.element,
      navigator, // OpenSeadragon has moved it among its own controls; its place is here.
      this.title,
      toolbar,
      createScaleBar(this.viewer),
      createMagnifier(this.viewer),
      createCursorReadout(this.viewer, element),
    );
    this.viewer.onChange(() => {
      const open = this.viewer.slide !== undefined;
      setShown(this.title, open);
      setShown(toolbar, open);
      // Hidden, not gone: it is measured too.
      navigator.style.visibility = open ? "" : "hidden";
    });
  }

  setTitle(text: string): void {
    setText(this.title, text);
    this.title.title = text;
  }

  toggleFullscreen(): void {
    toggleFullscreen(this.element);
  }
}
