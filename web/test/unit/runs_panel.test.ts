import assert from "node:assert/strict";
import { test } from "node:test";
import type { Run } from "../../app/api/types.ts";
import type { Runs } from "../../app/live/runs.ts";
import { EMPTY, Store } from "../../app/live/store.ts";
import type { MaskControl } from "../../app/panels/mask_control.ts";
import type { Notices } from "../../app/panels/notices.ts";
import { createRunsPanel } from "../../app/panels/runs_panel.ts";

/** As little of an element as the panel needs. */
class Element {
  readonly attributes = new Map<string, string>();
  readonly dataset: Record<string, string> = {};
  readonly style = { setProperty: () => {}, removeProperty: () => {} };
  readonly classList = { add: () => {}, remove: () => {}, toggle: () => {} };
  children: Element[] = [];
  parent: Element | undefined;
  textContent = "";
  className = "";
  title = "";
  hidden = false;

  addEventListener(): void {}
  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value);
  }
  removeAttribute(name: string): void {
    this.attributes.delete(name);
  }
  append(...children: (Element | string)[]): void {
    for (const child of children) if (child instanceof Element) this.insertBefore(child, null);
  }
  insertBefore(child: Element, before: Element | null): void {
    child.remove();
    child.parent = this;
    this.children.splice(before ? this.children.indexOf(before) : this.children.length, 0, child);
  }
  remove(): void {
    if (this.parent) this.parent.children = this.parent.children.filter((child) => child !== this);
    this.parent = undefined;
  }
  get firstElementChild(): Element | null {
    return this.children[0] ?? null;
  }
  get nextElementSibling(): Element | null {
    const { children = [] } = this.parent ?? {};
    return children[children.indexOf(this) + 1] ?? null;
  }
  /** This one and all below it. */
  all(): Element[] {
    return [this, ...this.children.flatMap((child) => child.all())];
  }
}

Object.assign(globalThis, { document: { createElement: () => new Element(), createElementNS: () => new Element() } });

function done(id: string): Run {
  const times = { created_at: "2026-01-01T00:00:00Z", started_at: "2026-01-01T00:00:00Z", ended_at: "2026-01-01T00:00:02Z" };
  const outputs = [{ name: "mask", material: `m-${id}` }];
  const rest = { inputs: [], progress: { value: 1, label: "" }, attempts: 1, bytes_moved: 0 };
  return { id, pipeline: "tissue", name: "tissue", state: "done", outputs, ...times, ...rest };
}

// Each row that ever was listened on for the mask, also long after its run was gone from the page.
test("the panel listens for the mask once, and its buttons follow it", async () => {
  const listeners: (() => void)[] = [];
  const masks = { element: new Element(), shown: undefined as string | undefined, onChange: (one: () => void) => listeners.push(one) };
  const store = new Store({ ...EMPTY });
  const panel = createRunsPanel(store, {} as Runs, masks as unknown as MaskControl, {} as Notices) as unknown as Element;
  for (const ids of [["r-1", "r-2"], [], ["r-3", "r-4"]]) {
    store.patch({ runs: ids.map(done) });
    await Promise.resolve();
  }
  assert.equal(listeners.length, 1);
  const pressed = (): (string | undefined)[] => {
    const values = panel.all().map((element) => element.attributes.get("aria-pressed"));
    return values.filter((value) => value !== undefined);
  };
  assert.deepEqual(pressed(), ["false", "false"]);
  masks.shown = "r-4";
  for (const listener of listeners) listener();
  assert.deepEqual(pressed(), ["false", "true"]);
});
