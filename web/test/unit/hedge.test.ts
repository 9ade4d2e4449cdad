import assert from "node:assert/strict";
import { test } from "node:test";
import { type HedgeOptions, hedged } from "../../app/pixels/hedge.ts";

interface Seen {
  failed: string[];
  overtaken: string[];
  answered: string[];
}

function options(seen: Seen, change: Partial<HedgeOptions> = {}): HedgeOptions {
  return {
    slowAfterMs: 5,
    headWithinMs: 2_000,
    bodyWithinMs: 2_000,
    signal: new AbortController().signal,
    onFailed: (url, _, begun) => seen.failed.push(begun ? `${url} midway` : url),
    onOvertaken: (url) => seen.overtaken.push(url),
    onAnswered: (url) => seen.answered.push(url),
    ...change,
  };
}

function nothing(): Seen {
  return { failed: [], overtaken: [], answered: [] };
}

/** A server that never answers, and ends when it is told to. */
function silence(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
}

test("a node that refuses is followed by the next at once", async () => {
  const seen = nothing();
  const ask = async (url: string): Promise<string> => {
    if (url === "dead") throw new TypeError("connection refused");
    return url;
  };
  assert.equal(await hedged(["dead", "well"], ask, options(seen, { slowAfterMs: 60_000 })), "well");
  assert.deepEqual(seen, { failed: ["dead"], overtaken: [], answered: ["well"] });
});

test("a node that hangs gets company; the faster one wins, the slower one is let go, but has not failed", async () => {
  const seen = nothing();
  let letGo = false;
  const ask = (url: string, signal: AbortSignal): Promise<string> => {
    if (url !== "hangs") return Promise.resolve(url);
    signal.addEventListener("abort", () => (letGo = true));
    return silence(signal);
  };
  assert.equal(await hedged(["hangs", "well"], ask, options(seen)), "well");
  assert.deepEqual(seen, { failed: [], overtaken: ["hangs"], answered: ["well"] });
  assert.ok(letGo);
});

test("a slow node that answers first after all is no failure of the second", async () => {
  const seen = nothing();
  let second: (() => void) | undefined;
  const secondAsked = new Promise<void>((resolve) => (second = resolve));
  const ask = async (url: string, signal: AbortSignal): Promise<string> => {
    if (url === "second") {
      second?.();
      return silence(signal);
    }
    await secondAsked;
    return url;
  };
  assert.equal(await hedged(["first", "second"], ask, options(seen)), "first");
  assert.deepEqual(seen, { failed: [], overtaken: [], answered: ["first"] });
});

test("where all fail, the last one's reason is told", async () => {
  const seen = nothing();
  const ask = async (url: string): Promise<string> => {
    throw new Error(`${url} is down`);
  };
  await assert.rejects(hedged(["a", "b"], ask, options(seen)), /b is down/);
  assert.deepEqual(seen.failed, ["a", "b"]);
  await assert.rejects(hedged([], ask, options(seen)), /no server/);
});

test("a node that hangs for good has failed in time", async () => {
  const seen = nothing();
  const ask = (_: string, signal: AbortSignal): Promise<string> => silence(signal);
  await assert.rejects(hedged(["a"], ask, options(seen, { headWithinMs: 10 })), { name: "TimeoutError" });
  assert.deepEqual(seen.failed, ["a"]);
});

// A busy node on a slow line was told to be dead because its answer had not ended in time.
test("an answer that has begun has its own time to end", async () => {
  const seen = nothing();
  const ask = async (url: string, _: AbortSignal, begun: () => void): Promise<string> => {
    begun();
    await new Promise((resolve) => setTimeout(resolve, 60));
    return url;
  };
  assert.equal(await hedged(["slow"], ask, options(seen, { headWithinMs: 10 })), "slow");
  assert.deepEqual(seen, { failed: [], overtaken: [], answered: ["slow"] });
});

test("an answer that breaks off, or never ends, is told apart from none", async () => {
  const seen = nothing();
  const ask = async (url: string, signal: AbortSignal, begun: () => void): Promise<string> => {
    begun();
    if (url === "stalls") return silence(signal);
    throw new TypeError("the connection was closed");
  };
  const result = hedged(["breaks", "stalls"], ask, options(seen, { bodyWithinMs: 10 }));
  await assert.rejects(result, { name: "TimeoutError" });
  assert.deepEqual(seen.failed, ["breaks midway", "stalls midway"]);
});

test("a tile that nobody wants any more blames nobody", async () => {
  const seen = nothing();
  const abort = new AbortController();
  const result = hedged(["a"], (_, signal) => silence(signal), options(seen, { signal: abort.signal }));
  abort.abort(new Error("left"));
  await assert.rejects(result, /left/);
  assert.deepEqual(seen, nothing());
});
