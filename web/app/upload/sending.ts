// One file on its way, by tus: what was sent and is durable is not sent again.

import { DetailedError, Upload } from "tus-js-client";
import type { Api } from "../api/api.ts";
import { Problem, asProblem, problemFrom } from "../api/problem.ts";
import { authorization } from "../api/token.ts";
import { Rate } from "./rate.ts";

/** Pauses before a request is tried again; each that got something through begins with the first. A node that is started
 *  again is back within them. */
const RETRY_AFTER_MS = [0, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000];
const TOLD_EVERY_MS = 200;

export type SendingState = "waiting" | "sending" | "paused" | "failed" | "interrupted";

/** What is shown of it. */
export interface Progress {
  /** The same for the same file. */
  key: string;
  name: string;
  /** Bytes. */
  size: number;
  /** Bytes; absent where the node has not been asked yet. */
  sent?: number | undefined;
  /** Bytes in a second. */
  rate?: number | undefined;
  state: SendingState;
  /** Why it failed. */
  problem?: Problem;
}

export interface Listeners {
  changed: (progress: Progress) => void;
  /** The cluster has made a material for it. */
  begun: (material: string) => void;
  done: (material: string) => void;
}

/** Tells a file from others, also after the page was loaded anew. */
export function keyOf(file: File): string {
  return ["microtome", file.name, file.size, file.lastModified].join("-");
}

export class Sending {
  private state: SendingState = "waiting";
  private sent: number | undefined;
  private problem: Problem | undefined;
  private upload: Upload | undefined;
  private readonly rate = new Rate();
  private told = 0;
  /** Counts starts and stops: what an earlier one brings comes too late. */
  private turn = 0;

  constructor(private readonly file: File, private readonly api: Api, private readonly listeners: Listeners) {}

  get progress(): Progress {
    const { name, size } = this.file;
    const progress: Progress = { key: keyOf(this.file), name, size, sent: this.sent, state: this.state };
    if (this.state === "sending") progress.rate = this.rate.perSecond();
    if (this.problem) progress.problem = this.problem;
    return progress;
  }

  /** Goes on where it stopped. */
  start(): void {
    const turn = (this.turn += 1);
    this.problem = undefined;
    this.rate.forget();
    this.turnTo("sending");
    this.begin(turn).catch((thrown: unknown) => this.fail(turn, asProblem(thrown, this.api.server)));
  }

  pause(): void {
    this.turn += 1;
    void this.upload?.abort();
    this.turnTo("paused");
  }

  /** Back into the queue. */
  wait(): void {
    this.turnTo("waiting");
  }

  /** Ends it, and what the cluster has of it. */
  async discard(): Promise<void> {
    this.turn += 1;
    await this.upload?.abort(this.upload.url !== null);
  }

  private async begin(turn: number): Promise<void> {
    if (!this.upload) {
      // A coordinator that answers is to make it.
      await this.api.get("/v1/cluster");
      const upload = new Upload(this.file, this.options());
      const [former] = await upload.findPreviousUploads();
      if (turn !== this.turn) return;
      if (former) upload.resumeFromPreviousUpload(former);
      this.upload = upload;
    }
    this.upload.options.onError = (error) => {
      void problemOf(error, this.api.server).then((problem) => this.fail(turn, problem));
    };
    this.upload.start();
  }

  private options(): Upload["options"] {
    return {
      endpoint: `${this.api.server}/v1/uploads`,
      metadata: { filename: this.file.name, ...(this.file.type && { filetype: this.file.type }) },
      retryDelays: RETRY_AFTER_MS,
      fingerprint: () => Promise.resolve(keyOf(this.file)),
      removeFingerprintOnSuccess: true,
      onBeforeRequest: (request) => {
        for (const [name, value] of Object.entries(authorization())) request.setHeader(name, value);
      },
      onUploadUrlAvailable: () => this.listeners.begun(this.material()),
      onProgress: (sent) => this.went(sent),
      onSuccess: () => this.listeners.done(this.material()),
    };
  }

  private material(): string {
    return materialOf(this.upload?.url ?? "");
  }

  private went(sent: number): void {
    this.sent = sent;
    const now = performance.now();
    this.rate.add(now, sent);
    if (now - this.told < TOLD_EVERY_MS) return;
    this.told = now;
    this.listeners.changed(this.progress);
  }

  private fail(turn: number, problem: Problem): void {
    if (turn !== this.turn) return;
    this.problem = problem;
    this.turnTo("failed");
  }

  private turnTo(state: SendingState): void {
    this.state = state;
    this.listeners.changed(this.progress);
  }
}

/** The material that an upload's address is about. */
export function materialOf(url: string): string {
  return new URL(url).pathname.split("/").filter(Boolean).at(-1) ?? "";
}

async function problemOf(error: Error | DetailedError, server: string): Promise<Problem> {
  const answer = error instanceof DetailedError ? error.originalResponse : null;
  const status = answer?.getStatus() ?? 0;
  if (!answer || status < 200) {
    const way = "What has arrived stays there. Try again when the node is back; only the rest is sent.";
    return new Problem(0, "unreachable", "The upload stands still", `no server takes the file just now (${server})`, way);
  }
  return problemFrom(new Response(answer.getBody(), { status }));
}
