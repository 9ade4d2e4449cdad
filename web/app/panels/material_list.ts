// The list on the left: search, slides or results, cards.

import type { Material } from "../api/types.ts";
import { KeyedList, h, setShown, setText } from "../dom.ts";
import { plural } from "../format.ts";
import { icon } from "../icons.ts";
import type { State, Store } from "../live/store.ts";
import { MaterialCard } from "./material_card.ts";
import type { Thumbnails } from "./thumbnails.ts";

const AGES_EVERY_MS = 30_000;

export class MaterialList {
  readonly element: HTMLElement;
  private readonly search = h("input", {
    type: "search",
    placeholder: "Search by name",
    "aria-label": "Search by name",
    autocomplete: "off",
    oninput: () => this.show(),
  });
  private readonly tabs: HTMLButtonElement[];
  private readonly note = h("p", { class: "list-note", "aria-live": "polite" });
  private readonly cards: KeyedList<Material, MaterialCard>;
  private readonly scroller = h("div", { class: "list-cards" });
  private results = false;
  private selected: string | undefined;

  /** With `head` above it. */
  constructor(private readonly store: Store<State>, thumbnails: Thumbnails, head: HTMLElement) {
    this.cards = new KeyedList(this.scroller, (material) => material.id, (material) => {
      return new MaterialCard(material, thumbnails);
    });
    const tab = (label: string, results: boolean): HTMLButtonElement =>
      h("button", { type: "button", "aria-pressed": String(results === this.results), onclick: () => this.turn(results) }, label);
    this.tabs = [tab("Slides", false), tab("Results", true)];
    this.element = h(
      "nav",
      { class: "list", "aria-label": "Materials" },
      head,
      h("label", { class: "search" }, icon("search"), this.search),
      h("div", { class: "tabs", role: "group", "aria-label": "Kind" }, ...this.tabs),
      this.scroller,
      this.note,
    );
    store.watch(["materials", "openId"], () => this.show());
    setInterval(() => this.show(), AGES_EVERY_MS);
  }

  focusSearch(): void {
    this.search.focus();
    this.search.select();
  }

  /** The neighbour of the open material in the list as it is shown now. */
  neighbour(step: 1 | -1): string | undefined {
    const ids = this.shown().map((material) => material.id);
    const at = ids.indexOf(this.store.state.openId ?? "");
    return at < 0 ? ids[0] : ids[at + step];
  }

  private turn(results: boolean): void {
    this.results = results;
    this.tabs.forEach((tab, index) => tab.setAttribute("aria-pressed", String((index === 1) === results)));
    this.show();
  }

  private shown(): Material[] {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const materials = this.store.state.materials ?? [];
    const wanted = materials.filter((material) => {
      const name = material.name.toLowerCase();
      return (material.origin !== undefined) === this.results && words.every((word) => name.includes(word));
    });
    return wanted.sort((a, b) => b.created_at.localeCompare(a.created_at) || a.id.localeCompare(b.id));
  }

  private show(): void {
    const { materials, materialsCut, openId } = this.store.state;
    if (openId !== this.selected) {
      this.selected = openId;
      const open = materials?.find((material) => material.id === openId);
      if (open && (open.origin !== undefined) !== this.results) this.turn(open.origin !== undefined);
    }
    const shown = this.shown();
    this.cards.show(shown);
    for (const card of this.scroller.children) {
      const current = (card as HTMLElement).dataset["open"] === openId;
      if (current) card.setAttribute("aria-current", "page");
      else card.removeAttribute("aria-current");
    }
    const empty = this.search.value ? "Nothing of that name." : this.results ? "No results yet." : "No slides yet.";
    const cut = materialsCut ? `The first ${plural(materials?.length ?? 0, "file")} are listed.` : "";
    setText(this.note, materials && shown.length === 0 ? empty : cut);
    setShown(this.note, this.note.textContent !== "");
  }
}
