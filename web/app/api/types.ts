// The API's JSON, as the program's `proto` crate writes it. Only what the page reads is named here.

export interface Page<T> {
  items: T[];
  next_cursor?: string;
}

export type MaterialState = "receiving" | "ready" | "degraded" | "unavailable" | "archived" | "deleting";
export type ReplicaState = "receiving" | "copying" | "verified" | "damaged" | "dropping";

export interface Replica {
  node: string;
  state: ReplicaState;
  generation: number;
  /** Base URL of the node. */
  url: string;
  /** Whether the node answers, as the leader sees it. */
  live: boolean;
  /** Bytes that are there while it is receiving or copying, as its node last told. */
  offset?: number;
  /** What it waits for though all of it has come: its check. */
  check?: string;
}

export interface Material {
  id: string;
  name: string;
  /** Bytes. */
  size: number;
  /** Its sender tells the size later, and has not yet. */
  size_unknown?: boolean;
  media_type: string;
  blake3?: string;
  state: MaterialState;
  population: number;
  population_live: number;
  replicas: Replica[];
  created_at: string;
  /** When it is deleted, used or not. */
  expires_at?: string;
  /** After how many seconds without a reader it is deleted. */
  idle_s?: number;
  /** When somebody read it last, where that decides. */
  used_at?: string;
  /** The run that made it; absent for what a person uploaded. */
  origin?: { run: string };
  view: string;
}

export interface NodeReport {
  disk_total: number;
  disk_free: number;
  /** Somebody else filled the disk. */
  disk_full?: boolean;
  /** Copies of which something is damaged and not mended yet. */
  damaged?: number;
  scrub?: Scrub;
  stored: number;
  materials: number;
  /** 0 to 1. */
  cpu: number;
  memory_total: number;
  memory_free: number;
  requests_active: number;
  tiles_served: number;
}

/** A walk over all bytes: the present one, or else the last. */
export interface Scrub {
  started_at: string;
  finished_at?: string;
  /** Bytes. */
  read: number;
  left: number;
  damaged: number;
}

/** What a draining node still has. */
export interface Drain {
  copies: number;
  uploads: number;
  runs: number;
  bytes_left: number;
  bytes_per_s: number;
  seconds_left?: number;
}

export interface StorageNode {
  id: string;
  name: string;
  url: string;
  zone?: string;
  version: string;
  availability: "up" | "unreachable" | "down";
  scheduling: "active" | "cordoned" | "draining";
  lifecycle: "member" | "removed";
  seen_at?: string;
  report?: NodeReport;
  replicas: number;
  drain?: Drain;
}

export interface Coordinator {
  id: number;
  url: string;
  leader: boolean;
  live: boolean;
}

export interface Cluster {
  id: string;
  name: string;
  version: string;
  coordinators: Coordinator[];
  nodes: number;
  nodes_up: number;
  /** Whether tokens are checked; versions before did not say. */
  auth?: "on" | "off";
  materials: number;
  bytes: number;
  healing: { materials: number; copies: number; bytes_left: number; bytes_per_s: number; seconds_left?: number };
  /** Copies are being moved until the nodes are equally full. */
  rebalance?: { copies: number; bytes_left: number; seconds_left?: number };
}

export interface Level {
  width: number;
  height: number;
  downsample: number;
  tile_width: number;
  tile_height: number;
  columns: number;
  rows: number;
  compression: string;
  native: boolean;
}

export interface AssociatedImage {
  name: string;
  width: number;
  height: number;
  /** A path on the node. */
  url: string;
}

export interface SlideInfo {
  id: string;
  name: string;
  vendor: string;
  width: number;
  height: number;
  /** Micrometres per pixel. */
  mpp_x?: number;
  mpp_y?: number;
  objective_power?: number;
  /** Largest first. */
  levels: Level[];
  associated: AssociatedImage[];
  /** A path with `{level}`, `{col}` and `{row}`. */
  tiles: string;
}

export type RunState =
  | "waiting"
  | "initializing"
  | "running"
  | "finalizing"
  | "paused"
  | "done"
  | "error"
  | "canceled";

export interface Run {
  id: string;
  pipeline: string;
  name: string;
  inputs: string[];
  state: RunState;
  progress: { value: number; label: string };
  node?: string;
  attempts: number;
  outputs: { name: string; material: string }[];
  result?: Record<string, unknown>;
  reason?: string;
  bytes_moved: number;
  created_at: string;
  started_at?: string;
  ended_at?: string;
}

/** Whether nothing happens to the run any more. */
export function isFinal(state: RunState): boolean {
  return state === "done" || state === "error" || state === "canceled";
}
