// The control API. Any coordinator answers; when one does not, the next is asked, and the one that answered stays first.

import { Problem, asProblem, problemFrom } from "./problem.ts";
import { authorization } from "./token.ts";

/** Time that one coordinator gets for one answer. */
const ANSWER_WITHIN_MS = 8_000;
/** Answers remembered, to hand out the very same object while nothing changes. */
const REMEMBERED_MAX = 64;

/** How a server failed a call: without any answer, or with one that says no. */
type Failure = "silent" | "refused";

export class Api {
  /** Told when another coordinator has taken over from one that does not answer. */
  onMoved: (from: string, to: string) => void = () => {};
  private servers: string[];
  /** Counts what happens, so that it can be told what came after what. */
  private turn = 0;
  /** The turn at which a server last answered anything at all, a refusal too. */
  private readonly heard = new Map<string, number>();
  private readonly remembered = new Map<string, { text: string; value: unknown }>();

  constructor(first: string, private readonly send: typeof fetch = (...request) => fetch(...request)) {
    this.servers = [first];
  }

  /** The coordinator that is asked first. */
  get server(): string {
    return this.servers[0] ?? "";
  }

  /** Takes over the cluster's own list of coordinators; the one in use stays first. */
  learn(urls: string[]): void {
    const others = urls.map((url) => url.replace(/\/+$/, "")).filter((url) => url !== this.server);
    this.servers = [this.server, ...new Set(others)];
    for (const url of this.heard.keys()) if (!this.servers.includes(url)) this.heard.delete(url);
  }

  /** Reads; the same object as last time while the answer is the same. */
  async get<T>(path: string): Promise<T> {
    const text = await this.call("GET", path);
    const known = this.remembered.get(path);
    if (known?.text === text) return known.value as T;
    const value = JSON.parse(text) as T;
    this.remembered.delete(path);
    this.remembered.set(path, { text, value });
    if (this.remembered.size > REMEMBERED_MAX) {
      for (const oldest of this.remembered.keys()) {
        this.remembered.delete(oldest);
        break;
      }
    }
    return value;
  }

  /** Writes; the key makes it safe to send the same again to another coordinator. */
  async post<T>(path: string, body?: unknown): Promise<T> {
    const text = await this.call("POST", path, body, randomKey());
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  private async call(method: string, path: string, body?: unknown, key?: string): Promise<string> {
    const headers: Record<string, string> = { Accept: "application/json", ...authorization() };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (key !== undefined) headers["Idempotency-Key"] = key;
    let last = new Problem(0, "unreachable", "No server is known", "this page knows no coordinator", "Load it again.");
    const began = this.turn;
    const failed = new Map<string, Failure>();
    for (const server of [...this.servers]) {
      failed.set(server, "silent");
      try {
        const response = await this.send(server + path, {
          method,
          headers,
          body: body === undefined ? null : JSON.stringify(body),
          signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
        });
        failed.set(server, "refused");
        this.heard.set(server, (this.turn += 1));
        if (!response.ok) throw await problemFrom(response);
        const text = await response.text();
        this.prefer(server, failed, began);
        return text;
      } catch (thrown) {
        last = asProblem(thrown, server);
        if (!last.retryable) throw last;
      }
    }
    throw last;
  }

  /** Puts the server first that has answered a call, if the one that stands there has failed the same call. */
  private prefer(server: string, failed: ReadonlyMap<string, Failure>, began: number): void {
    const before = this.server;
    const failure = failed.get(before);
    if (server === before || failure === undefined) return;
    // Another call has heard from it in the meantime: it is there.
    if (failure === "silent" && (this.heard.get(before) ?? 0) > began) return;
    this.servers = [server, ...this.servers.filter((other) => other !== server)];
    if (failure === "silent") this.onMoved(before, server);
  }
}

/** `crypto.randomUUID` is there on secure pages only; a console in a hospital's network may be on plain HTTP. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
