// One material as a card: a link to it with picture, name, size, age and state.

import type { Material } from "../api/types.ts";
import { h, setShown, setText } from "../dom.ts";
import { age, ending, fileSize } from "../format.ts";
import { materialState } from "./material_state.ts";
import type { Thumbnails } from "./thumbnails.ts";

export class MaterialCard {
  readonly element: HTMLAnchorElement;
  private readonly thumb: HTMLElement;
  private readonly name = h("span", { class: "card-name" });
  private readonly meta = h("span", { class: "card-meta" });
  private readonly state = h("span", { class: "chip" });
  private readonly bar = h("span", { class: "bar" }, h("span"));

  constructor(material: Material, private readonly thumbnails: Thumbnails) {
    this.thumb = thumbnails.frame();
    const text = h("span", { class: "card-text" }, this.name, this.meta, this.state, this.bar);
    this.element = h("a", { class: "card", href: `/view/${material.id}`, "data-open": material.id }, this.thumb, text);
  }

  update(material: Material): void {
    setText(this.name, material.name);
    this.name.title = material.name;
    const now = Date.now();
    const facts = [fileSize(material), age(material.created_at, now), ending(material, now)];
    setText(this.meta, facts.filter((fact) => fact !== "").join(" · "));
    const { tone, text, progress } = materialState(material);
    setText(this.state, text);
    this.state.className = `chip ${tone}`;
    showBar(this.bar, progress);
    this.thumbnails.request(this.thumb, material);
  }
}

/** A slim bar: filled so far, moving where nobody knows how far, or hidden. */
export function showBar(bar: HTMLElement, progress: number | "unknown" | undefined): void {
  setShown(bar, progress !== undefined);
  bar.classList.toggle("unknown", progress === "unknown");
  const fill = bar.firstElementChild as HTMLElement | null;
  if (fill) fill.style.width = typeof progress === "number" ? `${progress * 100}%` : "";
}
