// What this browser sends: how far, how fast, how long still.

import { KeyedList, h, setShown, setText } from "../dom.ts";
import { bytes, duration, percent } from "../format.ts";
import { type IconName, icon } from "../icons.ts";
import type { State, Store } from "../live/store.ts";
import type { Progress } from "../upload/sending.ts";
import type { Uploads } from "../upload/uploads.ts";
import { showBar } from "./material_card.ts";

export function createUploadsPanel(store: Store<State>, uploads: Uploads, choose: () => void): HTMLElement {
  const rows = h("div", { class: "upload-rows" });
  const button = h("button", { type: "button", class: "button upload", title: "Upload files (U)", onclick: choose }, icon("upload"), "Upload");
  const list = new KeyedList<Progress, Row>(rows, (progress) => progress.key, (progress) => new Row(progress, uploads, choose));
  store.watch(["uploads"], ({ uploads: shown }) => {
    list.show(shown);
    setShown(rows, shown.length > 0);
  });
  return h("section", { class: "uploads", "aria-label": "Uploads" }, button, rows);
}

class Row {
  readonly element: HTMLElement;
  private readonly line = h("span", { class: "card-meta" });
  private readonly bar = h("span", { class: "bar" }, h("span"));
  private readonly wayOut = h("p", { class: "muted" });
  private readonly pause: HTMLButtonElement;
  private readonly resume: HTMLButtonElement;
  private readonly again: HTMLButtonElement;

  constructor({ key, name }: Progress, uploads: Uploads, choose: () => void) {
    const tool = (shape: IconName, label: string, onclick: () => void): HTMLButtonElement =>
      h("button", { type: "button", class: "tool", title: label, "aria-label": `${label}: ${name}`, onclick }, icon(shape));
    this.pause = tool("pause", "Pause", () => uploads.pause(key));
    this.resume = tool("play", "Go on", () => uploads.resume(key));
    this.again = tool("file", "Choose the file again", choose);
    const discard = tool("close", "Discard", () => void uploads.discard(key).catch(() => {}));
    const head = h("div", { class: "upload-head" }, h("span", { class: "card-name", title: name }, name), this.pause, this.resume, this.again, discard);
    this.element = h("div", { class: "upload-row", "data-upload": name }, head, this.line, this.bar, this.wayOut);
  }

  update(progress: Progress): void {
    const { state, problem, sent, size } = progress;
    this.element.dataset["state"] = state;
    setText(this.line, describe(progress));
    setText(this.wayOut, wayOut(progress));
    setShown(this.wayOut, this.wayOut.textContent !== "");
    this.line.classList.toggle("bad", problem !== undefined);
    setShown(this.pause, state === "sending" || state === "waiting");
    setShown(this.resume, state === "paused" || state === "failed");
    setShown(this.again, state === "interrupted");
    const share = sent !== undefined && size > 0 ? sent / size : undefined;
    showBar(this.bar, state === "sending" ? (share ?? "unknown") : share);
  }
}

/** One line for each state. */
export function describe({ state, problem, sent, size, rate }: Progress): string {
  const far = sent === undefined ? bytes(size) : `${bytes(sent)} of ${bytes(size)}`;
  switch (state) {
    case "waiting":
      return `${far} · waits for its turn`;
    case "sending": {
      if (sent === undefined) return `${far} · begins`;
      if (!rate) return far;
      return `${far} · ${bytes(rate)}/s · ${duration((size - sent) / rate)} left`;
    }
    case "paused":
      return sent === undefined ? `${far} · paused` : `${far} · paused at ${percent(sent / Math.max(1, size))}`;
    case "failed":
      return problem ? `${problem.title}: ${problem.detail}` : "The upload stands still";
    case "interrupted":
      return `${bytes(size)} · interrupted`;
  }
}

function wayOut({ state, problem }: Progress): string {
  if (state === "failed") return problem?.wayOut ?? "";
  if (state === "interrupted") return "Drop or choose the same file again: only what is missing is sent.";
  return "";
}
