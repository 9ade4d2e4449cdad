import assert from "node:assert/strict";
import { test } from "node:test";
import { Api } from "../../app/api/api.ts";
import { OpenMaterial } from "../../app/live/open_material.ts";
import { EMPTY, Store } from "../../app/live/store.ts";
import { NodeHealth } from "../../app/pixels/replicas.ts";

// What the page has and Node does not: polling asks whether the tab is looked at, requests ask for a token.
Object.assign(globalThis, {
  document: { hidden: false, addEventListener: () => {}, removeEventListener: () => {} },
  sessionStorage: { getItem: () => null },
});

async function until(isSo: () => boolean): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  while (!isSo()) {
    if (signal.aborted) throw new Error(`it never came to ${String(isSo)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

// A leader was elected while an upload ran; the card went on to say that no coordinator leads until the upload's end.
test("a passing problem is gone with the next answer, also while there is no copy to load from", async () => {
  let leading = false;
  const send = async (): Promise<Response> => {
    const material = { id: "m-1", name: "a.svs", state: "receiving", replicas: [] };
    return leading ? Response.json(material) : Response.json({ code: "no_leader" }, { status: 503 });
  };
  const store = new Store({ ...EMPTY });
  const open = new OpenMaterial(new Api("http://one", send as typeof fetch), store, new NodeHealth());
  open.open("m-1");
  try {
    await until(() => store.state.problem?.code === "no_leader");
    leading = true;
    open.refreshNow();
    await until(() => store.state.problem === undefined);
    assert.equal(store.state.material?.state, "receiving");
  } finally {
    open.close();
  }
});

test("a slide without small levels is not opened, but told of", async () => {
  const replica = { node: "n-1", state: "verified", generation: 1, url: "http://node", live: true };
  const side = { width: 300_000, height: 300_000 };
  const level = { ...side, downsample: 1, tile_width: 256, tile_height: 256, columns: 1_172, rows: 1_172 };
  const send = async (): Promise<Response> => Response.json({ id: "m-1", name: "a.tif", state: "ready", replicas: [replica] });
  const before = globalThis.fetch;
  globalThis.fetch = async () => Response.json({ id: "m-1", ...side, levels: [level], tiles: "/tiles/m-1/{level}/{col}_{row}.jpg" });
  const store = new Store({ ...EMPTY });
  const open = new OpenMaterial(new Api("http://one", send as typeof fetch), store, new NodeHealth());
  open.open("m-1");
  try {
    await until(() => store.state.problem !== undefined);
    assert.equal(store.state.problem?.code, "no_small_levels");
    assert.equal(store.state.slide, undefined);
  } finally {
    open.close();
    globalThis.fetch = before;
  }
});
