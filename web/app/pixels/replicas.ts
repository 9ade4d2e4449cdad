// Which node is asked for which bytes. Live replicas share the work, each tile always going to the same one so that the
// browser's cache is hit; a node that fails is left alone for a while and then tried with a single request.

import type { Replica } from "../api/types.ts";

const REST_FIRST_MS = 1_000;
const REST_LONGEST_MS = 15_000;

interface Trouble {
  failures: number;
  /** Until then it is asked only when nobody else is left. */
  restUntilMs: number;
  /** Whether it was told: a node that is only slow is left in peace without a word. */
  told: boolean;
}

/** How nodes did lately, seen from this page: the cluster's own word is seconds old. */
export class NodeHealth {
  /** Told when a node that answered does so no more (`well` false), and when it does again. */
  onChange: (url: string, well: boolean) => void = () => {};
  private readonly troubled = new Map<string, Trouble>();
  private readonly answers = new Map<string, number>();

  /** It cannot be reached, or does not begin to answer in time. */
  failed(url: string, nowMs: number): void {
    const trouble = this.rest(url, nowMs);
    if (trouble.told) return;
    trouble.told = true;
    this.onChange(url, false);
  }

  /** It answers, but slower than another one or with a failure of its own: others are asked before it for a while. */
  lagged(url: string, nowMs: number): void {
    this.rest(url, nowMs);
  }

  answered(url: string, nowMs: number): void {
    this.answers.set(url, nowMs);
    const trouble = this.troubled.get(url);
    this.troubled.delete(url);
    if (trouble?.told) this.onChange(url, true);
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

  private rest(url: string, nowMs: number): Trouble {
    const before = this.troubled.get(url);
    const failures = (before?.failures ?? 0) + 1;
    const restMs = Math.min(REST_FIRST_MS * 2 ** (failures - 1), REST_LONGEST_MS);
    const trouble = { failures, restUntilMs: nowMs + restMs, told: before?.told ?? false };
    this.troubled.set(url, trouble);
    return trouble;
  }
}

/**
 * Base URLs to ask for `key`, best first: every verified copy, those not known to answer last. `mayTry`: whether a
 * rested node may be put in front as its trial. Only who tells how it went may do so: the trial is then used up.
 */
export function replicaOrder(
  replicas: readonly Replica[],
  health: NodeHealth,
  key: string,
  nowMs: number,
  mayTry: boolean,
): string[] {
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
  const trial = mayTry ? last.find((url) => health.mayTry(url, nowMs)) : undefined;
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
