// The page's frame: bar on top, list on the left, stage, panels on the right. Both sides can be folded away; on a
// narrow screen they lie over the stage and start folded.

import { h } from "./dom.ts";
import { type IconName, icon } from "./icons.ts";

/** Below this width the sides lie over the stage; the style sheet says the same. */
const NARROW = "(max-width: 1100px)";

export type Side = "list" | "side";

export interface Frame {
  /** Where the viewer goes. */
  stage: HTMLElement;
  /** Where the panels go. */
  side: HTMLElement;
  toggle: (side: Side) => void;
}

/** Builds the frame and puts it into the page: what is placed in it can be measured at once. */
export function createFrame(cluster: HTMLElement, list: HTMLElement, help: () => void): Frame {
  const stage = h("main", { class: "stage", "aria-label": "Viewer" });
  const aside = h("aside", { class: "side", "aria-label": "Slide and cluster" });
  const element = h("div", { class: "frame" });
  const button = (name: IconName, label: string, onclick: () => void): HTMLButtonElement =>
    h("button", { type: "button", class: "tool", title: label, "aria-label": label, onclick }, icon(name));
  const buttons = {
    list: button("list", "List of slides (L)", () => toggle("list")),
    side: button("panel", "Facts, analysis and nodes (I)", () => toggle("side")),
  };
  const folded = { list: false, side: false };
  const show = (): void => {
    for (const side of ["list", "side"] as const) {
      element.classList.toggle(`no-${side}`, folded[side]);
      buttons[side].setAttribute("aria-pressed", String(!folded[side]));
    }
  };
  const toggle = (side: Side): void => {
    folded[side] = !folded[side];
    show();
  };

  const narrow = window.matchMedia(NARROW);
  const fit = (): void => {
    folded.list = narrow.matches;
    folded.side = narrow.matches;
    show();
  };
  narrow.addEventListener("change", fit);
  fit();
  stage.addEventListener("pointerdown", () => {
    if (narrow.matches) fit();
  });

  const brand = h("a", { class: "brand", href: "/" }, logo(), "Microtome");
  const bar = h("header", { class: "top" }, buttons.list, brand, cluster, button("help", "Keyboard shortcuts (?)", help), buttons.side);
  element.append(bar, list, stage, aside);
  document.body.append(element);
  return { stage, side: aside, toggle };
}

function logo(): HTMLElement {
  return h("img", { class: "logo", src: "/favicon.svg", alt: "", width: 22, height: 22 });
}
