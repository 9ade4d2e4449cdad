// What the slide is: label and overview pictures, and its facts.

import { Problem } from "../api/problem.ts";
import type { Material, SlideInfo } from "../api/types.ts";
import { h, setShown } from "../dom.ts";
import { count, ending, fileSize, length } from "../format.ts";
import { icon } from "../icons.ts";
import type { OpenMaterial } from "../live/open_material.ts";
import type { State, Store } from "../live/store.ts";

/** The pictures worth a place, and what they are called. */
const PICTURES: Record<string, string> = { label: "Label", macro: "Overview" };

const PICTURE_WITHIN_MS = 30_000;
/** A picture that no node gave is asked for again after this. */
const ASK_AGAIN_MS = 3_000;

export function createSlidePanel(store: Store<State>, open: OpenMaterial): HTMLElement {
  const pictures = h("div", { class: "pictures" });
  const facts = h("dl", { class: "facts" });
  const download = h("a", { class: "button", target: "_blank", rel: "noopener" }, icon("download"), "Original file");
  const element = h("section", { class: "panel", "aria-label": "Slide" }, h("h2", {}, "Slide"), pictures, facts, download);
  let shown: SlideInfo | undefined;

  store.watch(["slide", "material"], ({ slide, material }) => {
    setShown(element, slide !== undefined);
    if (!slide || !material) return;
    link(download, () => open.source.address(`/v1/materials/${material.id}/file`));
    if (slide === shown) return;
    shown = slide;
    facts.replaceChildren(...factRows(slideFacts(slide, material)));
    pictures.replaceChildren();
    for (const [name, title] of Object.entries(PICTURES)) {
      const image = slide.associated.find((associated) => associated.name === name);
      if (image) pictures.append(picture(title, name, image.url, open));
    }
  });
  return element;
}

function picture(title: string, name: string, path: string, open: OpenMaterial): HTMLElement {
  const frame = h("figure", { class: `picture ${name}`, "data-image": name }, h("figcaption", {}, title));
  const { source } = open;
  const load = (): void => {
    source.picture(path, AbortSignal.timeout(PICTURE_WITHIN_MS)).then(
      (image) => {
        image.alt = title;
        image.addEventListener("click", () => frame.classList.toggle("large"));
        frame.prepend(image);
      },
      (thrown: unknown) => {
        const final = thrown instanceof Problem && !thrown.retryable;
        if (final) frame.remove();
        else if (open.source === source) setTimeout(load, ASK_AGAIN_MS);
      },
    );
  };
  load();
  return frame;
}

/** Leads a link to an address, to the one of then when it is used: what is in it does not last. */
export function link(element: HTMLAnchorElement, address: () => string | undefined): void {
  const lead = (): void => {
    const now = address();
    if (now) element.href = now;
  };
  lead();
  element.onpointerdown = lead;
  element.onfocus = lead;
}

export function factRows(facts: [string, string][]): HTMLElement[] {
  return facts.flatMap(([term, value]) => [h("dt", {}, term), h("dd", { title: value }, value)]);
}

/** What people call the kinds of files that the slide reader tells apart. */
const FORMATS: Record<string, string> = {
  aperio: "Aperio SVS",
  "generic-tiff": "TIFF",
  hamamatsu: "Hamamatsu NDPI",
  jpeg: "JPEG picture",
  jpeg2000: "JPEG 2000 picture",
  leica: "Leica SCN",
  "ome-tiff": "OME-TIFF",
  philips: "Philips TIFF",
  png: "PNG picture",
  qptiff: "QPTIFF",
  trestle: "Trestle TIFF",
  ventana: "Ventana BIF",
};

function slideFacts(slide: SlideInfo, material: Material): [string, string][] {
  const { width, height, mpp_x: mppX, mpp_y: mppY, levels } = slide;
  const facts: [string, string][] = [["Size", `${count(width)} × ${count(height)} px`]];
  if (mppX && mppY) {
    facts.push(["Area", `${length(width * mppX)} × ${length(height * mppY)}`]);
    const same = Math.abs(mppX - mppY) / mppX < 1e-3;
    const mpp = same ? mppX.toPrecision(4) : `${mppX.toPrecision(4)} × ${mppY.toPrecision(4)}`;
    facts.push(["Pixel", `${mpp} µm`]);
  }
  if (slide.objective_power) facts.push(["Objective", `${slide.objective_power}×`]);
  facts.push(["Levels", levels.map((level) => `${Math.round(level.downsample * 100) / 100}`).join(", ")]);
  const [largest] = levels;
  if (largest) {
    const way = largest.native ? "sent as scanned" : "decoded by the node";
    facts.push(["Tiles", `${largest.tile_width} × ${largest.tile_height}, ${largest.compression}, ${way}`]);
  }
  facts.push(["Format", FORMATS[slide.vendor] ?? slide.vendor]);
  facts.push(["File", fileSize(material)], ["Stored", material.created_at.replace("T", " ").slice(0, 16)]);
  const ends = ending(material, Date.now());
  if (ends) facts.push(["Ends", ends.replace(/^ends /, "")]);
  return facts;
}
