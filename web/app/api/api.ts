// The control API. Any coordinator answers; when one does not, the next is asked, and the one that answered stays first.

import { Problem, asProblem, problemFrom } from "./problem.ts";
import { authorization } from "./token.ts";

/** Time that one coordinator gets for one answer. */
const ANSWER_WITHIN_MS = 8_000;
/** Answers remembered, to hand out the very same object while nothing changes. */
const REMEMBERED_MAX = 64;

export class Api {
  /** Told when another coordinator has taken over. */
  onMoved: (from: string, to: string) => void = () => {};
  private servers: string[];
  private readonly remembered = new Map<string, { text: string; value: unknown }>();

  constructor(first: string, private readonly send: typeof fetch = (...request) => fetch(...request)) {
    this.servers = [first];
  }

  /** The coordinator that answered last. */
  get server(): string {
    return this.servers[0] ?? "";
  }

  /** Takes over the cluster's own list of coordinators; the one in use stays first. */
  learn(urls: string[]): void {
    const others = urls.map((url) => url.replace(/\/+$/, "")).filter((url) => url !== this.server);
    this.servers = [this.server, ...new Set(others)];
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
    for (const server of [...this.servers]) {
      try {
        const response = await this.send(server + path, {
          method,
          headers,
          body: body === undefined ? null : JSON.stringify(body),
          signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
        });
        if (!response.ok) throw await problemFrom(response);
        const text = await response.text();
        this.answered(server);
        return text;
      } catch (thrown) {
        last = asProblem(thrown, server);
        if (!last.retryable) throw last;
      }
    }
    throw last;
  }

  private answered(server: string): void {
    const before = this.server;
    if (server === before) return;
    this.servers = [server, ...this.servers.filter((other) => other !== server)];
    this.onMoved(before, server);
  }
}

/** `crypto.randomUUID` is there on secure pages only; a console in a hospital's network may be on plain HTTP. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
