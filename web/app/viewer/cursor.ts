// Where the pointer is on the slide, in pixels of level 0 and, where the pixel's size is known, in millimetres.

import { h, setShown, setText } from "../dom.ts";
import { count } from "../format.ts";
import type { SlideViewer } from "./slide_viewer.ts";

export function createCursorReadout(viewer: SlideViewer, stage: HTMLElement): HTMLElement {
  const element = h("div", { class: "cursor glass", hidden: true });
  let pointer: { x: number; y: number } | undefined;

  const show = (): void => {
    const { slide, transform } = viewer;
    if (!slide || !transform || !pointer) {
      setShown(element, false);
      return;
    }
    const inverse = new DOMMatrix(transform).inverse();
    const { x, y } = inverse.transformPoint(pointer);
    const inside = x >= 0 && y >= 0 && x < slide.width && y < slide.height;
    setShown(element, inside);
    if (!inside) return;
    const { mpp_x: mppX, mpp_y: mppY } = slide;
    const millimetres =
      mppX && mppY ? `${((x * mppX) / 1000).toFixed(3)}, ${((y * mppY) / 1000).toFixed(3)} mm · ` : "";
    setText(element, `${millimetres}${count(Math.floor(x))}, ${count(Math.floor(y))} px`);
  };

  stage.addEventListener("pointermove", (event) => {
    const bounds = stage.getBoundingClientRect();
    pointer = { x: event.clientX - bounds.left, y: event.clientY - bounds.top };
    show();
  });
  stage.addEventListener("pointerleave", () => {
    pointer = undefined;
    show();
  });
  viewer.onChange(show);
  return element;
}
