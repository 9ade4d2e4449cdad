// The light box: what is shown while no slide is open. An empty cluster tells how to fill it.

import type { Material } from "../api/types.ts";
import { KeyedList, h, setShown } from "../dom.ts";
import { icon } from "../icons.ts";
import type { State, Store } from "../live/store.ts";
import { MaterialCard } from "./material_card.ts";
import type { Notices } from "./notices.ts";
import type { Thumbnails } from "./thumbnails.ts";

/** More than a screen or two of pictures is what the list with its search is for. */
const SHOWN_MAX = 60;

export function createGallery(store: Store<State>, thumbnails: Thumbnails, notices: Notices, choose: () => void): HTMLElement {
  const grid = h("div", { class: "gallery-grid" });
  const filled = h("div", { hidden: true }, h("h1", {}, "Slides"), grid);
  const empty = createEmptyState(notices, choose);
  const element = h("section", { class: "gallery", "aria-label": "Slides" }, filled, empty);
  const cards = new KeyedList<Material, MaterialCard>(grid, (material) => material.id, (material) => {
    return new MaterialCard(material, thumbnails);
  });
  store.watch(["materials", "openId"], ({ materials, openId }) => {
    setShown(element, openId === undefined);
    if (openId !== undefined) return;
    const slides = (materials ?? []).filter((material) => material.origin === undefined);
    slides.sort((a, b) => b.created_at.localeCompare(a.created_at));
    cards.show(slides.slice(0, SHOWN_MAX));
    setShown(filled, slides.length > 0);
    setShown(empty, materials !== undefined && slides.length === 0);
  });
  return element;
}

function createEmptyState(notices: Notices, choose: () => void): HTMLElement {
  const command = `microtome put FILE --server ${location.origin}`;
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(command);
    notices.tell("The command is copied.");
  };
  return h(
    "div",
    { class: "card-large empty", hidden: true },
    h("div", { class: "emblem" }, icon("slide")),
    h("h1", {}, "The first slide is yours"),
    h("p", {}, "Drop a whole-slide image here. It opens by itself as soon as it has arrived."),
    h("button", { type: "button", class: "button primary", onclick: choose }, icon("upload"), "Choose files"),
    h("p", { class: "muted" }, "Or from another machine, with the command line:"),
    h(
      "div",
      { class: "command" },
      h("code", {}, command),
      h("button", { type: "button", class: "tool", title: "Copy", "aria-label": "Copy the command", onclick: copy }, icon("copy")),
    ),
    h("p", { class: "muted" }, "Aperio SVS and tiled pyramidal TIFF are shown; every other file is stored and can be fetched again."),
  );
}
