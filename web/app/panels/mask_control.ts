// Which run's mask lies over the slide, and how it looks.

import type { Api } from "../api/api.ts";
import { asProblem } from "../api/problem.ts";
import type { Tickets } from "../api/tickets.ts";
import type { Material, Run } from "../api/types.ts";
import { h, setShown } from "../dom.ts";
import type { State, Store } from "../live/store.ts";
import type { NodeHealth } from "../pixels/replicas.ts";
import { MaterialSource } from "../pixels/source.ts";
import type { MaskLayer } from "../viewer/mask_layer.ts";
import type { Notices } from "./notices.ts";

/** Colours that stand out from pink and violet. */
const COLOURS: [string, string][] = [["Green", "#00a37a"], ["Blue", "#0a84ff"], ["Yellow", "#f2b800"], ["Black", "#101014"]];

export class MaskControl {
  readonly element: HTMLElement;
  /** The run whose mask is shown. */
  shown: string | undefined;
  private last: Run | undefined;
  private colour = COLOURS[0]?.[1] ?? "#00a37a";
  private readonly opacity = h("input", {
    type: "range",
    min: 5,
    max: 100,
    value: 40,
    "aria-label": "Opacity of the mask",
    oninput: () => this.restyle(),
  });
  private readonly swatches: HTMLButtonElement[];
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly api: Api,
    private readonly layer: MaskLayer,
    private readonly health: NodeHealth,
    private readonly tickets: Tickets,
    private readonly notices: Notices,
    store: Store<State>,
  ) {
    this.swatches = COLOURS.map(([name, colour]) => {
      const pick = (): void => {
        this.colour = colour;
        this.restyle();
      };
      const label = `${name} mask`;
      const swatch = h("button", { type: "button", class: "swatch", title: label, "aria-label": label, onclick: pick });
      swatch.style.setProperty("--swatch", colour);
      return swatch;
    });
    this.element = h("div", { class: "mask-control", hidden: true }, ...this.swatches, this.opacity);
    this.restyle();
    store.watch(["openId"], () => {
      this.last = undefined;
      this.hide();
    });
  }

  onChange(listener: () => void): void {
    this.listeners.add(listener);
  }

  async show(run: Run): Promise<void> {
    const id = run.outputs.find((output) => output.name === "mask")?.material;
    if (id === undefined) return;
    this.last = run;
    this.set(run.id);
    try {
      const material = await this.api.get<Material>(`/v1/materials/${id}`);
      const source = new MaterialSource(this.health, this.tickets.of(id));
      source.update(material.replicas);
      const blob = await source.blob(`/v1/materials/${id}/file`, AbortSignal.timeout(30_000));
      const mask = await createImageBitmap(blob);
      if (this.shown === run.id) this.layer.show(mask);
    } catch (thrown) {
      if (this.shown !== run.id) return;
      this.hide();
      const problem = asProblem(thrown, "the node");
      this.notices.tell(`The mask cannot be shown: ${problem.detail}`, "warn");
    }
  }

  hide(): void {
    this.layer.show(undefined);
    this.set(undefined);
  }

  /** Shows the mask that was shown last, or the newest of these; hides it if one is shown. */
  toggle(runs: readonly Run[]): void {
    const run = this.last ?? runs.find((candidate) => candidate.outputs.some((output) => output.name === "mask"));
    if (this.shown !== undefined) this.hide();
    else if (run) void this.show(run);
    else this.notices.tell("There is no mask yet: start the tissue analysis.");
  }

  private set(shown: string | undefined): void {
    this.shown = shown;
    setShown(this.element, shown !== undefined);
    for (const listener of this.listeners) listener();
  }

  private restyle(): void {
    this.swatches.forEach((swatch, index) => swatch.setAttribute("aria-pressed", String(COLOURS[index]?.[1] === this.colour)));
    this.layer.restyle({ colour: this.colour, opacity: Number(this.opacity.value) / 100 });
  }
}
