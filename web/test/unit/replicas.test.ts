import assert from "node:assert/strict";
import { test } from "node:test";
import type { Replica } from "../../app/api/types.ts";
import { NodeHealth, replicaOrder } from "../../app/pixels/replicas.ts";

const [A, B, C] = ["http://a:7500", "http://b:7500", "http://c:7500"] as const;

function replica(url: string, change: Partial<Replica> = {}): Replica {
  return { node: url, state: "verified", generation: 1, url, live: true, ...change };
}

const KEYS = Array.from({ length: 600 }, (_, index) => `/tiles/m-1/0/${index % 30}_${Math.floor(index / 30)}.jpg`);

test("live copies share the tiles evenly, and each tile keeps its node", () => {
  const health = new NodeHealth();
  const replicas = [replica(A), replica(B), replica(C)];
  const first = KEYS.map((key) => replicaOrder(replicas, health, key, 0, true)[0]);
  for (const url of [A, B, C]) {
    const share = first.filter((chosen) => chosen === url).length;
    assert.ok(share > 150 && share < 250, `${url} has ${share} of 600`);
  }
  assert.deepEqual(KEYS.map((key) => replicaOrder(replicas.toReversed(), health, key, 0, true)[0]), first);
});

test("when a node goes, only its own tiles move", () => {
  const health = new NodeHealth();
  const all = [replica(A), replica(B), replica(C)];
  const without = [replica(A), replica(B), replica(C, { live: false })];
  for (const key of KEYS) {
    const [before] = replicaOrder(all, health, key, 0, true);
    const [after] = replicaOrder(without, health, key, 0, true);
    assert.equal(after, before === C ? replicaOrder(all, health, key, 0, true)[1] : before);
  }
});

test("copies that are not whole are never asked, silent ones last", () => {
  const health = new NodeHealth();
  const replicas = [replica(A, { live: false }), replica(B, { state: "copying" }), replica(C)];
  assert.deepEqual(replicaOrder(replicas, health, "x", 0, true), [C, A]);
});

test("a failed node rests, then gets a single trial, and is back when it answers", () => {
  const health = new NodeHealth();
  const changes: [string, boolean][] = [];
  health.onChange = (url, well) => changes.push([url, well]);
  const replicas = [replica(A), replica(B)];
  health.failed(A, 0);
  health.failed(A, 10);
  for (const key of KEYS) assert.deepEqual(replicaOrder(replicas, health, key, 1_500, true), [B, A]);
  // Two failures: two seconds of rest.
  const trials = KEYS.filter((key) => replicaOrder(replicas, health, key, 2_500, true)[0] === A);
  assert.equal(trials.length, 1);
  health.answered(A, 2_600);
  assert.ok(KEYS.some((key) => replicaOrder(replicas, health, key, 2_700, true)[0] === A));
  assert.deepEqual(changes, [[A, false], [A, true]]);
});

test("when all have failed, all are still asked", () => {
  const health = new NodeHealth();
  const replicas = [replica(A), replica(B)];
  health.failed(A, 0);
  health.failed(B, 0);
  assert.equal(replicaOrder(replicas, health, "x", 1, true).length, 2);
});

test("a link is no trial: it neither leads to a rested node nor uses its trial up", () => {
  const health = new NodeHealth();
  const replicas = [replica(A), replica(B)];
  health.failed(A, 0);
  for (const key of KEYS) assert.deepEqual(replicaOrder(replicas, health, key, 1_500, false), [B, A]);
  assert.deepEqual(replicaOrder(replicas, health, "x", 1_500, true), [A, B]);
});

test("a node that is only slow rests without a word; one that is silent then is told of once", () => {
  const health = new NodeHealth();
  const changes: [string, boolean][] = [];
  health.onChange = (url, well) => changes.push([url, well]);
  const replicas = [replica(A), replica(B)];
  health.lagged(A, 0);
  for (const key of KEYS) assert.deepEqual(replicaOrder(replicas, health, key, 500, true), [B, A]);
  health.answered(A, 600);
  assert.deepEqual(changes, []);
  health.lagged(A, 700);
  health.failed(A, 800);
  health.lagged(A, 900);
  health.failed(A, 1_000);
  health.answered(A, 1_100);
  assert.deepEqual(changes, [[A, false], [A, true]]);
});
