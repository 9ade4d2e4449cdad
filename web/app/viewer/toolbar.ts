// The viewer's buttons: zoom, whole slide, rotate, link, full screen.

import { h } from "../dom.ts";
import { type IconName, icon } from "../icons.ts";
import type { SlideViewer } from "./slide_viewer.ts";

export const ZOOM_STEP = 1.6;

export interface ToolbarActions {
  fullscreen: () => void;
  copyLink: () => void;
}

export function createToolbar(viewer: SlideViewer, actions: ToolbarActions): HTMLElement {
  const button = (name: IconName, label: string, key: string, onclick: () => void): HTMLElement =>
    h("button", { type: "button", class: "tool", title: `${label} (${key})`, "aria-label": label, onclick }, icon(name));
  return h(
    "div",
    { class: "toolbar glass", role: "toolbar", "aria-label": "View", "aria-orientation": "vertical" },
    button("plus", "Zoom in", "+", () => viewer.zoomBy(ZOOM_STEP)),
    button("minus", "Zoom out", "−", () => viewer.zoomBy(1 / ZOOM_STEP)),
    button("home", "Whole slide", "0", () => viewer.home()),
    h("hr"),
    button("rotateLeft", "Rotate left", "Shift R", () => viewer.rotateBy(-90)),
    button("rotateRight", "Rotate right", "R", () => viewer.rotateBy(90)),
    h("hr"),
    button("link", "Copy a link to this view", "C", actions.copyLink),
    button("fullscreen", "Full screen", "F", actions.fullscreen),
  );
}

/** Fills the screen with the element, or ends that. */
export function toggleFullscreen(element: HTMLElement): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void element.requestFullscreen();
}
