import assert from "node:assert/strict";
import { test } from "node:test";
import { materialInAddress } from "../../app/address.ts";
import type { Cluster, Material, Replica } from "../../app/api/types.ts";
import { Store } from "../../app/live/store.ts";
import { clusterVerdict } from "../../app/panels/cluster_bar.ts";
import { materialState } from "../../app/panels/material_state.ts";
import { formatPosition, parsePosition } from "../../app/viewer/position.ts";

const COPYING: Replica = { node: "n-2", state: "copying", generation: 1, url: "http://b", live: true };

function material(change: Partial<Material>): Material {
  return {
    id: "m-1",
    name: "a.svs",
    size: 1_000,
    media_type: "application/octet-stream",
    state: "ready",
    population: 2,
    population_live: 2,
    replicas: [],
    created_at: "2026-01-01T00:00:00.000Z",
    view: "/view/m-1",
    ...change,
  };
}

test("a material's state is told with what is under way", () => {
  assert.deepEqual(materialState(material({})), { tone: "good", text: "Ready · 2 copies" });
  const degraded = { state: "degraded", population_live: 1 } as const;
  assert.deepEqual(materialState(material(degraded)), { tone: "warn", text: "Degraded · 1 of 2 copies" });
  const copying = materialState(material({ ...degraded, replicas: [COPYING] }));
  assert.deepEqual(copying, { tone: "busy", text: "Copying · 1 of 2 copies", progress: "unknown" });
  const half = materialState(material({ ...degraded, replicas: [{ ...COPYING, offset: 500 }] }));
  assert.equal(half.progress, 0.5);
});

test("the gravest thing about the cluster comes first", () => {
  const well: Cluster = {
    id: "c-1",
    name: "x",
    version: "1",
    coordinators: [1, 2, 3].map((id) => ({ id, url: `http://${id}`, leader: id === 1, live: true })),
    nodes: 3,
    nodes_up: 3,
    materials: 1,
    bytes: 1,
    healing: { materials: 0, copies: 0, bytes_left: 0, bytes_per_s: 0 },
  };
  assert.deepEqual(clusterVerdict(well), { tone: "good", text: "All is well" });
  const rebalance = { copies: 3, bytes_left: 2_500_000_000, seconds_left: 60 };
  assert.deepEqual(clusterVerdict({ ...well, rebalance }), { tone: "busy", text: "Making nodes equally full: 2.5 GB to move, 1 min" });
  assert.deepEqual(clusterVerdict({ ...well, nodes_up: 2 }), { tone: "warn", text: "1 node of 3 does not answer" });
  const healing = { materials: 2, copies: 1, bytes_left: 3e9, bytes_per_s: 1e8, seconds_left: 30 };
  const healed = clusterVerdict({ ...well, nodes_up: 2, healing });
  assert.deepEqual(healed, { tone: "busy", text: "1 node away, making whole 2 files: 3 GB to copy, 30 s" });
  const headless = well.coordinators.map((coordinator) => ({ ...coordinator, leader: false }));
  assert.equal(clusterVerdict({ ...well, coordinators: headless, healing }).tone, "bad");
});

test("a view goes into the address and back", () => {
  const position = { x: 1234, y: 5678, zoom: 0.125, rotation: 90 };
  assert.deepEqual(parsePosition(formatPosition(position)), position);
  assert.equal(formatPosition({ ...position, rotation: -90 }), "#x=1234&y=5678&zoom=0.125&rotation=270");
  assert.equal(formatPosition({ ...position, rotation: 360 }), "#x=1234&y=5678&zoom=0.125");
  for (const nonsense of ["", "#", "#x=1", "#x=1&y=2&zoom=0", "#x=a&y=2&zoom=1", "#x=1&y=&zoom=1"]) {
    assert.equal(parsePosition(nonsense), undefined, nonsense);
  }
});

test("only addresses of materials name one", () => {
  assert.equal(materialInAddress("/view/m-0123456789"), "m-0123456789");
  for (const other of ["/", "/view/", "/view/../x", "/view/m-1/x", "/v1/materials/m-1"]) {
    assert.equal(materialInAddress(other), undefined, other);
  }
});

test("watchers hear of changes once, and of nothing else", async () => {
  const store = new Store({ a: 1, b: 1 });
  const seen: number[] = [];
  store.watch(["a"], ({ a }) => seen.push(a));
  store.patch({ a: 2 });
  store.patch({ a: 3 });
  await Promise.resolve();
  store.patch({ b: 5 });
  store.patch({ a: 3 });
  await Promise.resolve();
  assert.deepEqual(seen, [1, 3]);
});
