// Short notes at the viewer's edge, that go by themselves.

import { h } from "../dom.ts";
import { icon } from "../icons.ts";

const SHOWN_FOR_MS = 8_000;
const NOTES_MAX = 3;

export type NoticeTone = "plain" | "warn";

export class Notices {
  readonly element = h("div", { class: "notices", role: "status", "aria-live": "polite" });
  private readonly shown = new Map<string, HTMLElement>();

  /** Shows a note. One with the same `about` takes the place of the one before. */
  tell(text: string, tone: NoticeTone = "plain", about = text): void {
    this.shown.get(about)?.remove();
    const remove = (): void => {
      note.remove();
      if (this.shown.get(about) === note) this.shown.delete(about);
    };
    const note = h(
      "div",
      { class: `notice ${tone}` },
      tone === "warn" && icon("warning"),
      h("span", {}, text),
      h("button", { type: "button", class: "tool", "aria-label": "Close", onclick: remove }, icon("close")),
    );
    this.shown.set(about, note);
    this.element.append(note);
    if (this.element.childElementCount > NOTES_MAX) this.element.firstElementChild?.remove();
    setTimeout(remove, SHOWN_FOR_MS);
  }
}
