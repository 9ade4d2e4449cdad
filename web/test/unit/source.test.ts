import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { Replica } from "../../app/api/types.ts";
import { NodeHealth } from "../../app/pixels/replicas.ts";
import { MaterialSource } from "../../app/pixels/source.ts";

Object.assign(globalThis, { sessionStorage: { getItem: () => null } });
const { fetch: realFetch } = globalThis;
afterEach(() => {
  globalThis.fetch = realFetch;
});

const [A, B] = ["http://a:7500", "http://b:7500"] as const;
const REPLICAS = [A, B].map((url): Replica => ({ node: url, state: "verified", generation: 1, url, live: true }));

/** A source whose node A does this, and whose node B is well. */
function source(a: () => Response): { source: MaterialSource; told: [string, boolean][] } {
  globalThis.fetch = async (url) => (String(url).startsWith(A) ? a() : Response.json("fine"));
  const health = new NodeHealth();
  const told: [string, boolean][] = [];
  health.onChange = (url, well) => told.push([url, well]);
  const made = new MaterialSource(health);
  made.update(REPLICAS);
  return { source: made, told };
}

/** Enough paths for each node to come first for some. */
const PATHS = Array.from({ length: 20 }, (_, index) => `/v1/materials/m-${index}/slide`);

async function readAll(from: MaterialSource): Promise<void> {
  for (const path of PATHS) assert.equal(await from.json(path, new AbortController().signal), "fine");
}

// A busy node was told to be dead.
test("a node that answers that it is busy rests without a word", async () => {
  const { source: made, told } = source(() => Response.json({ code: "unavailable" }, { status: 503 }));
  await readAll(made);
  assert.equal(made.health.isWell(A), false);
  assert.deepEqual(told, []);
});

test("a node that cannot be reached is told of", async () => {
  const { source: made, told } = source(() => {
    throw new TypeError("failed to fetch");
  });
  await readAll(made);
  assert.deepEqual(told, [[A, false]]);
});

// Each look at the link of the original file used up the trial that would have brought the node back.
test("an address never leads to a rested node", () => {
  const { source: made } = source(() => Response.json("fine"));
  made.health.failed(A, Date.now() - 60_000);
  for (const path of PATHS) assert.equal(made.address(path), B + path);
  assert.ok(made.health.mayTry(A, Date.now()), "the trial is still there");
});
