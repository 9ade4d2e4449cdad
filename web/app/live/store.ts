// What the page knows just now. Feeds write it, components watch the parts that they show.

import type { Problem } from "../api/problem.ts";
import type { Progress } from "../upload/sending.ts";
import type { Cluster, Material, Run, SlideInfo, StorageNode } from "../api/types.ts";

export interface State {
  /** Absent until the first answer. */
  cluster: Cluster | undefined;
  nodes: StorageNode[];
  /** Absent until the first answer. */
  materials: Material[] | undefined;
  /** Whether there are more materials than are listed. */
  materialsCut: boolean;
  /** Why no coordinator answers. */
  offline: Problem | undefined;
  /** The material that is looked at. */
  openId: string | undefined;
  material: Material | undefined;
  slide: SlideInfo | undefined;
  /** Why the material cannot be shown. */
  problem: Problem | undefined;
  /** Runs on the material that is looked at, newest first. */
  runs: Run[];
  /** Files that this browser sends, or has begun to send. */
  uploads: Progress[];
}

export const EMPTY: State = {
  cluster: undefined,
  nodes: [],
  materials: undefined,
  materialsCut: false,
  offline: undefined,
  openId: undefined,
  material: undefined,
  slide: undefined,
  problem: undefined,
  runs: [],
  uploads: [],
};

export class Store<T extends object> {
  private readonly watchers = new Set<(changed: Set<keyof T>) => void>();
  private pending: Set<keyof T> | undefined;

  constructor(private value: T) {}

  get state(): Readonly<T> {
    return this.value;
  }

  /** Takes the changes over; watchers hear of them once, after the present task. */
  patch(changes: Partial<T>): void {
    const changed = (Object.keys(changes) as (keyof T)[]).filter((key) => !Object.is(this.value[key], changes[key]));
    if (changed.length === 0) return;
    this.value = { ...this.value, ...changes };
    if (this.pending === undefined) {
      this.pending = new Set();
      queueMicrotask(() => this.tell());
    }
    for (const key of changed) this.pending.add(key);
  }

  /** Calls `show` now and whenever one of the keys has changed. */
  watch(keys: (keyof T)[], show: (state: Readonly<T>) => void): void {
    this.watchers.add((changed) => {
      if (keys.some((key) => changed.has(key))) show(this.value);
    });
    show(this.value);
  }

  private tell(): void {
    const changed = this.pending ?? new Set();
    this.pending = undefined;
    for (const watcher of this.watchers) watcher(changed);
  }
}
