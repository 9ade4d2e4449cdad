import assert from "node:assert/strict";
import { test } from "node:test";
import { age, area, bytes, count, duration, ending, fileSize, length, magnification, percent, plural } from "../../app/format.ts";

const GAP = "\u202f";

test("bytes stand in decimal units with the digits that matter", () => {
  const cases: [number, string][] = [
    [0, "0 B"],
    [999, "999 B"],
    [1_000, "1 kB"],
    [1_938_955, "1.94 MB"],
    [999_600, "1 MB"],
    [43_700_000_000, "43.7 GB"],
    [4e12, "4 TB"],
    [2e18, "2000 PB"],
  ];
  for (const [value, text] of cases) assert.equal(bytes(value), text);
});

test("a size that is not known yet is not 0 B", () => {
  assert.equal(fileSize({ size: 0 }), "0 B");
  assert.equal(fileSize({ size: 0, size_unknown: true }), "size not known yet");
});

test("counts have a gap between thousands", () => {
  assert.equal(count(999), "999");
  assert.equal(count(1_234_567), `1${GAP}234${GAP}567`);
  assert.equal(plural(1, "copy", "copies"), "1 copy");
  assert.equal(plural(2, "copy", "copies"), "2 copies");
});

test("a small share is not shown as nothing", () => {
  assert.equal(percent(0.3421, 1), "34.2 %");
  assert.equal(percent(0.0004, 1), "<0.1 %");
  assert.equal(percent(0, 1), "0.0 %");
  assert.equal(percent(1), "100 %");
});

test("time spans round into the next unit, never to 60 s or 24 h", () => {
  assert.equal(duration(59.6), "1 min");
  assert.equal(duration(3_599), "1 h");
  assert.equal(duration(86_399), "1 day");
  assert.equal(duration(5 * 86_400), "5 days");
  assert.equal(duration(-3), "0 s");
});

test("ages are told from a clock that may be behind the server's", () => {
  const now = Date.parse("2026-01-10T12:00:00.000Z");
  assert.equal(age("2026-01-10T12:00:05.000Z", now), "just now");
  assert.equal(age("2026-01-10T11:57:00.000Z", now), "3 min ago");
  assert.equal(age("2025-06-01T00:00:00.000Z", now), "2025-06-01");
  assert.equal(age("nonsense", now), "");
});

test("lengths, areas and magnifications carry their units", () => {
  assert.equal(length(50), "50 µm");
  assert.equal(length(0.25), "250 nm");
  assert.equal(length(1_200), "1.2 mm");
  assert.equal(area(0.352), "0.352 mm²");
  assert.equal(area(210), "2.1 cm²");
  assert.equal(magnification(2.04), "2×");
  assert.equal(magnification(0.83), "0.8×");
  assert.equal(magnification(39.9), "40×");
});

test("an end is told only where there is one", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  assert.equal(ending({}, now), "");
  assert.equal(ending({ expires_at: "2026-01-01T00:03:00Z" }, now), "ends in 3 min");
  assert.equal(ending({ expires_at: "2025-12-31T00:00:00Z", idle_s: 7200 }, now), "ends in 0 s or when unread for 2 h");
});
