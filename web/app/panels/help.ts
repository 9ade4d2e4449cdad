// The keyboard shortcuts, in a dialog.

import { h } from "../dom.ts";
import { icon } from "../icons.ts";
import type { Shortcut } from "../viewer/keyboard.ts";

export function createHelp(shortcuts: readonly Shortcut[]): HTMLDialogElement {
  const rows = shortcuts.flatMap(({ keys, label }) => [
    h("dt", {}, ...keys.split(" ").map((key) => h("kbd", {}, key))),
    h("dd", {}, label),
  ]);
  const dialog: HTMLDialogElement = h(
    "dialog",
    { class: "help", "aria-label": "Keyboard shortcuts" },
    h(
      "header",
      {},
      h("h1", {}, "Keyboard"),
      h("button", { type: "button", class: "tool", "aria-label": "Close", onclick: () => dialog.close() }, icon("close")),
    ),
    h("dl", {}, ...rows),
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  return dialog;
}
