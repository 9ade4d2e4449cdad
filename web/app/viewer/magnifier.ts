// The magnification: what it is, and a button for each objective that the slide has.

import { h, setShown, setText } from "../dom.ts";
import { magnification } from "../format.ts";
import { magnificationSteps, nativeMagnification } from "../pixels/scale.ts";
import type { SlideViewer } from "./slide_viewer.ts";

export function createMagnifier(viewer: SlideViewer): HTMLElement {
  const now = h("output", { class: "magnification", title: "Magnification" });
  const buttons = h("div", { class: "steps", role: "group", "aria-label": "Magnification" });
  const element = h("div", { class: "magnifier glass" }, buttons, now);
  let built = "";

  const build = (): void => {
    const slide = viewer.slide;
    const native = nativeMagnification(slide?.objective_power, slide?.mpp_x);
    const steps = slide ? magnificationSteps(native, viewer.fitZoom) : [];
    const key = JSON.stringify(steps);
    if (key === built) return;
    built = key;
    buttons.replaceChildren(
      ...steps.map(({ label, zoom }) =>
        h("button", { type: "button", "data-zoom": zoom, onclick: () => viewer.zoomTo(zoom) }, label),
      ),
    );
  };

  viewer.onChange(() => {
    setShown(element, viewer.slide !== undefined);
    if (!viewer.slide) return;
    build();
    const { zoom } = viewer;
    const native = nativeMagnification(viewer.slide.objective_power, viewer.slide.mpp_x);
    setText(now, native === undefined ? `${Math.round(zoom * 100)} %` : magnification(zoom * native));
    for (const button of buttons.children) {
      const near = Math.abs(Number((button as HTMLElement).dataset["zoom"]) / zoom - 1) < 0.02;
      button.setAttribute("aria-pressed", String(near));
    }
  });
  return element;
}

/** The zoom of the `index`th button, for the number keys. */
export function stepZoom(viewer: SlideViewer, index: number): number | undefined {
  const slide = viewer.slide;
  if (!slide) return undefined;
  const native = nativeMagnification(slide.objective_power, slide.mpp_x);
  return magnificationSteps(native, viewer.fitZoom)[index]?.zoom;
}
