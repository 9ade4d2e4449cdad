import assert from "node:assert/strict";
import { test } from "node:test";
import { Api } from "../../app/api/api.ts";
import { Problem } from "../../app/api/problem.ts";

const [ONE, TWO, THREE] = ["http://one:7400", "http://two:7400", "http://three:7400"] as const;

// The API reads a token from the tab's storage, which Node does not have.
Object.assign(globalThis, { sessionStorage: { getItem: () => "t0k3n" } });

type Answer = (url: string, init: RequestInit) => Response | Promise<Response>;

function api(answer: Answer): { api: Api; asked: [string, RequestInit][] } {
  const asked: [string, RequestInit][] = [];
  const send = async (url: unknown, init?: RequestInit): Promise<Response> => {
    asked.push([String(url), init ?? {}]);
    return answer(String(url), init ?? {});
  };
  const made = new Api(ONE, send as typeof fetch);
  made.learn([ONE, TWO, `${THREE}/`]);
  return { api: made, asked };
}

const json = (value: unknown, status = 200): Response => new Response(JSON.stringify(value), { status });

test("a coordinator that does not answer is left for the next, which then stays first", async () => {
  const { api: made, asked } = api((url) => {
    if (url.startsWith(ONE)) throw new TypeError("failed to fetch");
    return json({ leader: 2 });
  });
  const moves: string[][] = [];
  made.onMoved = (from, to) => moves.push([from, to]);
  await made.get("/v1/cluster");
  await made.get("/v1/nodes");
  assert.deepEqual(asked.map(([url]) => url), [`${ONE}/v1/cluster`, `${TWO}/v1/cluster`, `${TWO}/v1/nodes`]);
  assert.deepEqual(moves, [[ONE, TWO]]);
  assert.equal(made.server, TWO);
});

/** All that the page would say of a change of coordinator. */
function movesOf(made: Api): string[][] {
  const moves: string[][] = [];
  made.onMoved = (from, to) => moves.push([from, to]);
  return moves;
}

// A follower that knew no leader for a moment was told to be dead.
test("a coordinator that answers with a refusal is passed over without a word", async () => {
  const { api: made } = api((url) => (url.startsWith(ONE) ? json({}, 503) : json({})));
  const moves = movesOf(made);
  await made.get("/v1/cluster");
  assert.equal(made.server, TWO);
  assert.deepEqual(moves, []);
});

test("two calls under way at once tell of one silent coordinator once", async () => {
  const { api: made } = api((url) => {
    if (url.startsWith(ONE)) throw new TypeError("failed to fetch");
    return json({});
  });
  const moves = movesOf(made);
  await Promise.all([made.get("/v1/cluster"), made.get("/v1/nodes")]);
  assert.deepEqual(moves, [[ONE, TWO]]);
});

// The slow call ended last, found another coordinator in front than the one it had asked, and called that one dead.
test("a slow call does not undo what another one has found out", async () => {
  let slow: (() => void) | undefined;
  const { api: made } = api((url) => {
    if (url === `${ONE}/v1/slow`) return new Promise((resolve) => (slow = () => resolve(json({}))));
    if (url.startsWith(ONE)) throw new TypeError("failed to fetch");
    return json({});
  });
  const moves = movesOf(made);
  const first = made.get("/v1/slow");
  await made.get("/v1/cluster");
  slow?.();
  await first;
  assert.equal(made.server, TWO);
  assert.deepEqual(moves, [[ONE, TWO]]);
});

test("a coordinator that another call has heard from meanwhile is not called silent", async () => {
  let fail: (() => void) | undefined;
  const { api: made } = api((url) => {
    if (url === `${ONE}/v1/late`) return new Promise((_, reject) => (fail = () => reject(new TypeError("too late"))));
    return json({});
  });
  const moves = movesOf(made);
  const late = made.get("/v1/late");
  await made.get("/v1/cluster");
  fail?.();
  await late;
  assert.equal(made.server, ONE);
  assert.deepEqual(moves, []);
});

test("a write is sent again with the same key, so that it is done once", async () => {
  const { api: made, asked } = api((url) => (url.startsWith(THREE) ? json({ id: "r-1" }, 201) : json({}, 503)));
  await made.post("/v1/runs", { pipeline: "tissue" });
  const keys = asked.map(([, init]) => (init.headers as Record<string, string>)["Idempotency-Key"]);
  assert.equal(asked.length, 3);
  assert.equal(new Set(keys).size, 1);
  assert.match(keys[0] ?? "", /^[0-9a-f]{32}$/);
  assert.equal((asked[0]?.[1].headers as Record<string, string>)["Authorization"], "Bearer t0k3n");
});

test("a refusal is told as it is and nobody else is asked", async () => {
  const body = { status: 404, code: "not_found", title: "There is nothing here", detail: "no m-1", way_out: "List." };
  const { api: made, asked } = api(() => json(body, 404));
  const problem = await made.get("/v1/materials/m-1").catch((thrown: unknown) => thrown);
  assert.ok(problem instanceof Problem);
  assert.deepEqual([problem.code, problem.detail, problem.wayOut], ["not_found", "no m-1", "List."]);
  assert.equal(asked.length, 1);
});

test("an answer that has not changed is the very same object", async () => {
  let count = 1;
  const { api: made } = api(() => json({ count }));
  const first = await made.get("/v1/cluster");
  assert.equal(await made.get("/v1/cluster"), first);
  count = 2;
  assert.notEqual(await made.get("/v1/cluster"), first);
});

test("a page of some proxy instead of problem+json is a problem all the same", async () => {
  const { api: made } = api(() => new Response("<h1>Bad Gateway</h1>", { status: 502 }));
  await assert.rejects(made.get("/v1/cluster"), (thrown) => thrown instanceof Problem && thrown.retryable);
});
