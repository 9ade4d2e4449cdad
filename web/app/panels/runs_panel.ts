// Analyses of the open slide: start one, watch it, see what it found.

import { asProblem } from "../api/problem.ts";
import { type Run, type SlideInfo, isFinal } from "../api/types.ts";
import { KeyedList, h, setShown, setText } from "../dom.ts";
import { area, bytes, duration, percent } from "../format.ts";
import { icon } from "../icons.ts";
import type { Runs } from "../live/runs.ts";
import type { State, Store } from "../live/store.ts";
import type { MaskControl } from "./mask_control.ts";
import { showBar } from "./material_card.ts";
import type { Tone } from "./material_state.ts";
import type { Notices } from "./notices.ts";

export function createRunsPanel(store: Store<State>, runs: Runs, masks: MaskControl, notices: Notices): HTMLElement {
  const start = h("button", { type: "button", class: "button primary", "data-run": "tissue" }, icon("chart"), "Tissue analysis");
  const rows = h("div", { class: "runs", "aria-live": "polite" });
  const list = new KeyedList<Run, RunRow>(rows, (run) => run.id, () => new RunRow(store, runs, masks, notices));
  const element = h("section", { class: "panel", "aria-label": "Analysis" }, h("h2", {}, "Analysis"), start, masks.element, rows);

  start.addEventListener("click", () => {
    start.disabled = true;
    runs.start("tissue")
      .catch((thrown: unknown) => {
        const problem = asProblem(thrown, "the cluster");
        notices.tell(`${problem.title}: ${problem.detail} ${problem.wayOut}`, "warn");
      })
      .finally(() => {
        start.disabled = false;
      });
  });
  // One subscription for all rows: rows go with their runs.
  masks.onChange(() => list.show(store.state.runs));
  const ended = new Map<string, boolean>();
  store.watch(["runs", "slide", "nodes"], (state) => {
    setShown(element, state.slide !== undefined);
    list.show(state.runs);
    for (const run of state.runs) {
      // A run that was seen under way and has ended now shows what it found.
      if (ended.get(run.id) === false && run.state === "done") void masks.show(run);
      ended.set(run.id, isFinal(run.state));
    }
  });
  return element;
}

class RunRow {
  readonly element: HTMLElement;
  private readonly title = h("span", { class: "run-name" });
  private readonly chip = h("span", { class: "chip" });
  private readonly bar = h("span", { class: "bar" }, h("span"));
  private readonly figure = h("strong", { class: "run-figure" });
  private readonly detail = h("p", { class: "muted" });
  private readonly mask = h("button", { type: "button", class: "button", onclick: () => this.toggle() }, icon("eye"), "Mask");
  private readonly cancel = h("button", { type: "button", class: "button", onclick: () => this.stop() }, icon("close"), "Cancel");
  private run: Run | undefined;

  constructor(
    private readonly store: Store<State>,
    private readonly runs: Runs,
    private readonly masks: MaskControl,
    private readonly notices: Notices,
  ) {
    const head = h("div", { class: "run-head" }, this.title, this.chip);
    const foot = h("div", { class: "run-foot" }, this.figure, this.mask, this.cancel);
    this.element = h("article", { class: "run" }, head, this.bar, foot, this.detail);
  }

  update(run: Run): void {
    this.run = run;
    const { slide, nodes } = this.store.state;
    const final = isFinal(run.state);
    const node = nodes.find((candidate) => candidate.id === run.node)?.name ?? run.node;
    this.element.dataset["state"] = run.state;
    setText(this.title, { tissue: "Tissue" }[run.pipeline] ?? run.name);
    this.title.title = `${run.id} · ${run.name}`;
    const { tone, text } = stateWords(run);
    setText(this.chip, text);
    this.chip.className = `chip ${tone}`;
    showBar(this.bar, final ? undefined : run.state === "waiting" ? "unknown" : run.progress.value);
    setText(this.figure, run.state === "done" ? figures(run, slide) : "");
    setText(this.detail, final ? endWords(run, node) : [run.progress.label || run.reason, node && `on ${node}`].filter(Boolean).join(" · "));
    setShown(this.cancel, !final);
    this.showMask();
  }

  private showMask(): void {
    const has = this.run?.state === "done" && this.run.outputs.some((output) => output.name === "mask");
    setShown(this.mask, has === true);
    this.mask.setAttribute("aria-pressed", String(has === true && this.masks.shown === this.run?.id));
  }

  private toggle(): void {
    if (!this.run) return;
    if (this.masks.shown === this.run.id) this.masks.hide();
    else void this.masks.show(this.run);
  }

  private stop(): void {
    if (!this.run) return;
    this.runs.cancel(this.run.id).catch((thrown: unknown) => this.notices.tell(String(thrown), "warn"));
  }
}

function stateWords(run: Run): { tone: Tone; text: string } {
  switch (run.state) {
    case "waiting":
      return { tone: "quiet", text: "Waiting" };
    case "initializing":
      return { tone: "busy", text: "Starting" };
    case "running":
      return { tone: "busy", text: percent(run.progress.value) };
    case "finalizing":
      return { tone: "busy", text: "Finishing" };
    case "paused":
      return { tone: "quiet", text: "Paused" };
    case "done":
      return { tone: "good", text: "Done" };
    case "error":
      return { tone: "bad", text: "Failed" };
    case "canceled":
      return { tone: "quiet", text: "Cancelled" };
  }
}

function endWords(run: Run, node: string | undefined): string {
  if (run.state === "error") return run.reason ?? "It failed without a word.";
  if (run.state !== "done" || !run.started_at || !run.ended_at) return run.reason ?? "";
  const seconds = (Date.parse(run.ended_at) - Date.parse(run.started_at)) / 1000;
  const where = node === undefined ? "" : ` on ${node}`;
  const moved = run.bytes_moved === 0 ? "no bytes moved" : `${bytes(run.bytes_moved)} moved`;
  const again = run.attempts > 1 ? `, ${run.attempts} attempts` : "";
  return `${seconds < 1 ? "Under 1 s" : duration(seconds)}${where}, ${moved}${again}`;
}

/** 34.2 % tissue · 12.3 mm² */
function figures(run: Run, slide: SlideInfo | undefined): string {
  const number = (key: string): number | undefined => {
    const value = run.result?.[key];
    return typeof value === "number" && Number.isFinite(value) ? value : undefined;
  };
  const fraction = number("fraction");
  if (fraction === undefined) return "";
  const mm2 = number("tissue_mm2") ?? wholeArea(slide, fraction);
  return `${percent(fraction, 1)} tissue${mm2 === undefined ? "" : ` · ${area(mm2)}`}`;
}

function wholeArea(slide: SlideInfo | undefined, fraction: number): number | undefined {
  if (!slide?.mpp_x || !slide.mpp_y) return undefined;
  return (fraction * slide.width * slide.mpp_x * slide.height * slide.mpp_y) / 1e6;
}
