import assert from "node:assert/strict";
import { test } from "node:test";
import { describe } from "../../app/panels/uploads_panel.ts";
import { Rate } from "../../app/upload/rate.ts";
import { materialOf } from "../../app/upload/sending.ts";

test("a rate is told once there is something to tell, and is that of the last seconds", () => {
  const rate = new Rate();
  rate.add(0, 0);
  rate.add(100, 1_000_000);
  assert.equal(rate.perSecond(), undefined);
  for (let at = 1_000; at <= 20_000; at += 1_000) rate.add(at, 1_000_000 + at * 10);
  assert.equal(rate.perSecond(), 10_000);
});

test("where an upload begins anew the rate does, too", () => {
  const rate = new Rate();
  rate.add(0, 0);
  rate.add(1_000, 5_000);
  rate.add(2_000, 0);
  assert.equal(rate.perSecond(), undefined);
  rate.add(3_000, 700);
  assert.equal(rate.perSecond(), 700);
});

test("each state has its line", () => {
  const file = { key: "k", name: "a.svs", size: 2_000_000_000 };
  assert.equal(describe({ ...file, state: "waiting" }), "2 GB · waits for its turn");
  assert.equal(describe({ ...file, state: "sending" }), "2 GB · begins");
  const line = describe({ ...file, state: "sending", sent: 500_000_000, rate: 50_000_000 });
  assert.equal(line, "500 MB of 2 GB · 50 MB/s · 30 s left");
  assert.equal(describe({ ...file, state: "paused", sent: 500_000_000 }), "500 MB of 2 GB · paused at 25 %");
  assert.equal(describe({ ...file, state: "interrupted" }), "2 GB · interrupted");
  assert.equal(describe({ ...file, size: 0, state: "paused", sent: 0 }), "0 B of 0 B · paused at 0 %");
});

test("an upload's address tells its material", () => {
  assert.equal(materialOf("http://node:7500/v1/uploads/m-17?x=y"), "m-17");
});
