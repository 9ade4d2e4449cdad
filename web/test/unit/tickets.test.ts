import assert from "node:assert/strict";
import { test } from "node:test";
import { Api } from "../../app/api/api.ts";
import { Tickets } from "../../app/api/tickets.ts";
import { NodeHealth } from "../../app/pixels/replicas.ts";
import { MaterialSource } from "../../app/pixels/source.ts";

let kept: string | null = "administrators";
Object.assign(globalThis, { sessionStorage: { getItem: () => kept } });

/** Tickets of a cluster that answers like this, and what it was asked. */
function tickets(answer: () => Response | Promise<Response>): { tickets: Tickets; asked: string[] } {
  const asked: string[] = [];
  const send = async (url: unknown): Promise<Response> => {
    asked.push(String(url));
    return answer();
  };
  return { tickets: new Tickets(new Api("http://one", send as typeof fetch)), asked };
}

const made = (token: string): Response => Response.json({ token, expires_at: "2030-01-01T00:00:00Z" }, { status: 201 });

test("an address has a token for its material, never the page's own", async () => {
  const { tickets: own, asked } = tickets(() => made("for-m-1"));
  const realFetch = globalThis.fetch;
  const fetched: [string, RequestInit | undefined][] = [];
  globalThis.fetch = async (url, init) => {
    fetched.push([String(url), init]);
    return Response.json("fine");
  };
  try {
    const source = new MaterialSource(new NodeHealth(), own.of("m-1"));
    source.update([{ node: "n-1", state: "verified", generation: 1, url: "http://a:7500", live: true }]);
    await Promise.all([1, 2, 3].map(() => source.json("/v1/materials/m-1/slide", new AbortController().signal)));
    assert.deepEqual(asked, ["http://one/v1/materials/m-1/tokens"]);
    for (const [url, init] of fetched) {
      assert.equal(url, "http://a:7500/v1/materials/m-1/slide?token=for-m-1");
      assert.deepEqual(init?.headers, {});
    }
    assert.equal(source.address("/x?y=z"), "http://a:7500/x?y=z&token=for-m-1");
  } finally {
    globalThis.fetch = realFetch;
  }
});

test("it is renewed long before its end, and the old one serves meanwhile", async (context) => {
  context.mock.timers.enable({ apis: ["Date"], now: 1e12 });
  let count = 0;
  const { tickets: own, asked } = tickets(() => made(`token-${(count += 1)}`));
  const ticket = own.of("m-1");
  assert.equal((await ticket.carried()).token, "token-1");
  context.mock.timers.tick(299_000);
  assert.equal((await ticket.carried()).token, "token-1");
  assert.equal(asked.length, 1);
  context.mock.timers.tick(2_000);
  assert.equal((await ticket.carried()).token, "token-1");
  assert.equal(asked.length, 2);
  while (ticket.token() === "token-1") await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await ticket.carried()).token, "token-2");
  context.mock.timers.tick(900_000);
  assert.equal(ticket.token(), undefined);
  assert.equal((await ticket.carried()).token, "token-3");
});

test("where no coordinator answers the page's token goes in a header, and they are not asked for each tile", async () => {
  const { tickets: own, asked } = tickets(() => Response.json({ code: "no_leader" }, { status: 503 }));
  for (let tile = 0; tile < 5; tile += 1) {
    assert.deepEqual(await own.of("m-1").carried(), { headers: { Authorization: "Bearer administrators" } });
  }
  assert.equal(asked.length, 1);
});

test("a token that reads one material only is its own ticket", async () => {
  const { tickets: own } = tickets(() => Response.json({ code: "forbidden" }, { status: 403 }));
  assert.equal((await own.of("m-1").carried()).token, "administrators");
});

test("a cluster that checks no tokens is asked for none", async () => {
  kept = null;
  const { tickets: own, asked } = tickets(() => made("x"));
  assert.deepEqual(await own.of("m-1").carried(), { headers: {} });
  assert.equal(asked.length, 0);
  kept = "administrators";
});
