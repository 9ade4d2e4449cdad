// Why a material is not on the screen, and what to do about it.

import { Problem } from "../api/problem.ts";
import type { Material } from "../api/types.ts";
import { h, setShown } from "../dom.ts";
import { fileSize } from "../format.ts";
import { icon } from "../icons.ts";
import type { OpenMaterial } from "../live/open_material.ts";
import type { State, Store } from "../live/store.ts";
import { NO_SMALL_LEVELS } from "../pixels/pyramid.ts";
import { loginCard } from "./login_card.ts";
import { showBar } from "./material_card.ts";
import { materialState } from "./material_state.ts";
import { factRows, link } from "./slide_panel.ts";

export function createProblemCard(store: Store<State>, open: OpenMaterial): HTMLElement {
  const element = h("div", { class: "stage-message", "aria-live": "polite" });
  let shown = "";
  store.watch(["openId", "material", "slide", "problem", "offline"], (state) => {
    const card = chooseCard(state);
    setShown(element, card !== undefined);
    const key = card?.key ?? "";
    if (key === shown) return;
    shown = key;
    element.replaceChildren(...(card ? [card.build(open)] : []));
  });
  return element;
}

interface Card {
  /** The card is built anew when this changes. */
  key: string;
  build: (open: OpenMaterial) => HTMLElement;
}

function chooseCard({ openId, material, slide, problem, offline }: Readonly<State>): Card | undefined {
  const unauthorized = [problem, offline].find((it) => it?.status === 401 || it?.code === "token_revoked");
  if (unauthorized) return { key: `login ${unauthorized.code}`, build: () => loginCard(unauthorized) };
  if (openId === undefined || slide) return undefined;
  if (problem) {
    const key = JSON.stringify([problem.code, problem.detail, material?.id, material?.state]);
    return { key, build: (open) => problemCard(problem, material, open) };
  }
  if (material?.state === "receiving") {
    const line = materialState(material);
    return { key: `receiving ${String(line.progress)}`, build: () => arrivingCard(material) };
  }
  return { key: "opening", build: () => h("p", { class: "opening" }, h("span", { class: "spinner" }), "Opening …") };
}

function problemCard(problem: Problem, material: Material | undefined, open: OpenMaterial): HTMLElement {
  // A browser shows pictures of its own kinds; a flat TIFF of a slide is none, and far too large to be tried.
  const isPicture = material?.media_type.startsWith("image/") === true && problem.code !== NO_SMALL_LEVELS;
  const children: (HTMLElement | SVGSVGElement)[] = [
    h("div", { class: "emblem" }, icon(problem.retryable ? "warning" : material ? "file" : "search")),
    h("h1", {}, isPicture ? "A picture, not a slide" : problem.title),
    h("p", {}, problem.detail),
    h("p", { class: "way-out" }, problem.wayOut),
  ];
  if (problem.retryable) children.push(h("p", { class: "opening" }, h("span", { class: "spinner" }), "Trying again …"));
  if (material && !problem.retryable) {
    children.push(h("dl", { class: "facts" }, ...factRows(fileFacts(material))));
    const { source } = open;
    const address = source.address(`/v1/materials/${material.id}/file`);
    if (isPicture && address) {
      children.push(h("img", { class: "preview", src: address, alt: material.name }));
    }
    if (address) {
      const download = h("a", { class: "button primary", download: material.name }, icon("download"), "Download the file");
      link(download, () => source.address(`/v1/materials/${material.id}/file`));
      children.push(download);
    }
  }
  children.push(h("p", { class: "muted code" }, problem.status ? `${problem.status} · ${problem.code}` : problem.code));
  return h("div", { class: "card-large problem", "data-code": problem.code }, ...children);
}

function fileFacts(material: Material): [string, string][] {
  const facts: [string, string][] = [
    ["Name", material.name],
    ["Size", fileSize(material)],
    ["Type", material.media_type],
    ["State", materialState(material).text],
  ];
  if (material.blake3) facts.push(["BLAKE3", material.blake3]);
  return facts;
}

function arrivingCard(material: Material): HTMLElement {
  const bar = h("span", { class: "bar" }, h("span"));
  const { progress } = materialState(material);
  showBar(bar, progress ?? "unknown");
  return h(
    "div",
    { class: "card-large" },
    h("div", { class: "emblem" }, icon("slide")),
    h("h1", {}, "The slide is arriving"),
    h("p", {}, `${material.name}, ${fileSize(material)}. It opens by itself as soon as it is whole.`),
    bar,
  );
}
