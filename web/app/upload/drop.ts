// Files that are dragged onto the page, or chosen.

import { h, setShown } from "../dom.ts";
import { icon } from "../icons.ts";

/** Takes files that are dropped anywhere; gives what is shown while they are over the page. */
export function takeDroppedFiles(take: (files: File[]) => void, tell: (text: string) => void): HTMLElement {
  const overlay = h(
    "div",
    { class: "drop", hidden: true, "aria-hidden": "true" },
    h("div", { class: "card-large" }, h("div", { class: "emblem" }, icon("upload")), h("h1", {}, "Drop to upload")),
  );
  // Each element under the pointer is entered and left.
  let inside = 0;
  const carries = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") === true;
  const over = (step: number) => (event: DragEvent): void => {
    if (!carries(event)) return;
    event.preventDefault();
    inside = Math.max(0, inside + step);
    setShown(overlay, inside > 0);
  };
  window.addEventListener("dragenter", over(1));
  window.addEventListener("dragleave", over(-1));
  window.addEventListener("dragover", over(0));
  window.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    inside = 0;
    setShown(overlay, false);
    const items = [...(event.dataTransfer?.items ?? [])];
    const folders = items.filter((item) => item.webkitGetAsEntry()?.isDirectory).length;
    const files = items.flatMap((item) => (item.webkitGetAsEntry()?.isDirectory ? [] : (item.getAsFile() ?? [])));
    if (folders > 0) tell("A folder cannot be uploaded as it is: drop the files that are in it.");
    if (files.length > 0) take(files);
  });
  return overlay;
}

/** Lets a person choose files. It is part of the page: a browser may forget one that is not, and with it what was chosen. */
export function createChooser(take: (files: File[]) => void): HTMLInputElement {
  const input = h("input", { type: "file", multiple: true, hidden: true, "aria-hidden": "true" });
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])];
    input.value = ""; // The same file may be chosen again.
    take(files);
  });
  return input;
}
