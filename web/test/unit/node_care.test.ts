import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeReport, StorageNode } from "../../app/api/types.ts";
import { nodeCare } from "../../app/panels/node_care.ts";

const NOW = Date.parse("2026-11-26T12:00:00Z");

function node(report: Partial<NodeReport>, change: Partial<StorageNode> = {}): StorageNode {
  const full = { disk_total: 10, disk_free: 5, disk_full: false, damaged: 0, ...report } as NodeReport;
  return { id: "n-1", name: "a", scheduling: "active", report: full, ...change } as StorageNode;
}

const texts = (of: StorageNode) => nodeCare(of, NOW).map(({ tone, text }) => `${tone}: ${text}`);

test("a node that is well tells when its bytes were checked, and nothing else", () => {
  assert.deepEqual(texts(node({})), []);
  const scrub = { started_at: "2026-11-26T09:00:00Z", read: 3, left: 1, damaged: 0 };
  assert.deepEqual(texts(node({ scrub })), ["quiet: Checking every byte: 75 %"]);
  const finished = { ...scrub, left: 0, finished_at: "2026-11-26T10:00:00Z" };
  assert.deepEqual(texts(node({ scrub: finished })), ["quiet: Every byte checked 2 h ago"]);
});

test("what is wrong comes first", () => {
  assert.deepEqual(texts(node({ disk_full: true, damaged: 1 })), [
    "bad: Disk full: takes no uploads and copies until there is room again",
    "warn: 1 copy damaged by the disk, being mended",
  ]);
});

test("a drain tells what is left until nothing is", () => {
  const drain = { copies: 2, uploads: 1, runs: 0, bytes_left: 1_500_000_000, bytes_per_s: 1, seconds_left: 90 };
  const draining = (change: Partial<typeof drain>) =>
    texts(node({}, { scheduling: "draining", drain: { ...drain, ...change } }));
  assert.deepEqual(draining({}), ["busy: Draining: 2 copies, 1.5 GB, 1 upload left · 2 min"]);
  assert.deepEqual(draining({ copies: 0, uploads: 0 }), ["good: Drained: nothing is left here"]);
});
