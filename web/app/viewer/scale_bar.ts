// The scale bar: a round length on the slide at the present zoom.

import { h, setShown, setText } from "../dom.ts";
import { length } from "../format.ts";
import { scaleBar } from "../pixels/scale.ts";
import type { SlideViewer } from "./slide_viewer.ts";

const WIDTH_MAX_PX = 160;

export function createScaleBar(viewer: SlideViewer): HTMLElement {
  const label = h("span", { class: "scale-label" });
  const line = h("span", { class: "scale-line" });
  const element = h("div", { class: "scale-bar glass", role: "img" }, label, line);
  viewer.onChange(() => {
    const mpp = viewer.slide?.mpp_x;
    const bar = mpp === undefined ? undefined : scaleBar(mpp / viewer.zoom, WIDTH_MAX_PX);
    setShown(element, bar !== undefined);
    if (bar === undefined) return;
    const text = length(bar.micrometres);
    setText(label, text);
    element.setAttribute("aria-label", `Scale bar: ${text}`);
    line.style.width = `${bar.widthPx}px`;
  });
  return element;
}
