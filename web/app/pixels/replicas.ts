// Which node is asked for which bytes. Live replicas share the work, each tile always going to the same one so that the
// browser's cache is hit; a node that fails is left alone for a while and then tried with a single request.

import type { Replica } from "../api/types.ts";

const REST_FIRST_MS = 1_000;
const REST_LONGEST_MS = 15_000;

interface Trouble {
  failures: number;
  /** Until then it is asked only when nobody else is left. */
  restUntilMs: number;
}

/** How nodes did lately, seen from this page: the cluster's own word is seconds old. */
export class NodeHealth {
  /** Told when a node that answered does so no more (`well` false), and when it does again. */
  onChange: (url: string, well: boolean) => void = () => {};
  private readonly troubled = new Map<string, Trouble>();
  private readonly answers = new Map<string, number>();

  failed(url: string, nowMs: number): void {
    const failures = (this.troubled.get(url)?.failures ?? 0) + 1;
    const restMs = Math.min(REST_FIRST_MS * 2 ** (failures - 1), REST_LONGEST_MS);
    this.troubled.set(url, { failures, restUntilMs: nowMs + restMs });
    if (failures === 1) this.onChange(url, false);
  }

  answered(url: string, nowMs: number): void {
    this.answers.set(url, nowMs);
    if (this.troubled.delete(url)) this.onChange(url, true);
  }

  isWell(url: string): boolean {
    return !this.troubled.has(url);
  }

  /** When the node last answered this page. */
  answeredAtMs(url: string): number | undefined {
    return this.answers.get(url);
  }

  /** Whether one request may try a troubled node now; the next ones wait for how it went. */
  mayTry(url: string, nowMs: number): boolean {
    const trouble = this.troubled.get(url);
    if (trouble === undefined) return true;
    if (nowMs < trouble.restUntilMs) return false;
    trouble.restUntilMs = nowMs + REST_LONGEST_MS;
    return true;
  }

  /** Lets every node be tried at once: the network came back. */
  forgive(): void {
    for (const trouble of this.troubled.values()) trouble.restUntilMs = 0;
  }
}

/** Base URLs to ask for `key`, best first: every verified copy, those not known to answer last. */
export function replicaOrder(replicas: readonly Replica[], health: NodeHealth, key: string, nowMs: number): string[] {
  const whole = replicas.filter((replica) => replica.state === "verified");
  const ranked = whole.toSorted((a, b) => weight(key, b.url) - weight(key, a.url));
  const first: string[] = [];
  const second: string[] = [];
  const last: string[] = [];
  for (const { url, live } of ranked) {
    if (live && health.isWell(url)) first.push(url);
    else if (health.isWell(url)) second.push(url);
    else last.push(url);
  }
  // A rested node gets one request as its trial, in front: behind the others it would never be asked.
  const trial = last.find((url) => health.mayTry(url, nowMs));
  const rest = last.filter((url) => url !== trial);
  return trial === undefined ? [...first, ...second, ...rest] : [trial, ...first, ...second, ...rest];
}

/** Rendezvous hashing (FNV-1a): when a node goes, only its own tiles move. */
function weight(key: string, url: string): number {
  let hash = 0x811c9dc5;
  const text = `${url}|${key}`;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  // FNV's last characters barely reach the high bits: mix once more.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 13), 0x297a2d39);
  return (hash ^ (hash >>> 16)) >>> 0;
}
