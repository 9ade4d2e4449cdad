// The files that this browser sends, one after the other: the first can be looked at while the next comes.

import { type PreviousUpload, Upload, defaultOptions } from "tus-js-client";
import type { Api } from "../api/api.ts";
import { authorization } from "../api/token.ts";
import type { State, Store } from "../live/store.ts";
import { type Progress, Sending, keyOf } from "./sending.ts";

export interface UploadEvents {
  /** The material of a file that was given alone is known, or a file has arrived whole. */
  show: (material: string, arrived: boolean) => void;
  tell: (text: string) => void;
}

export class Uploads {
  private readonly sendings = new Map<string, Sending>();
  /** Of former visits, by their files' keys. */
  private interrupted = new Map<string, PreviousUpload>();

  constructor(private readonly api: Api, private readonly store: Store<State>, private readonly events: UploadEvents) {
    window.addEventListener("beforeunload", (event) => {
      if (this.store.state.uploads.some(({ state }) => state === "sending" || state === "waiting")) event.preventDefault();
    });
    void this.recall();
  }

  /** Sends files; one that was begun before goes on where it stopped. */
  add(files: readonly File[]): void {
    const alone = files.length === 1 && this.sendings.size === 0;
    for (const file of files) {
      const key = keyOf(file);
      if (this.sendings.has(key)) continue;
      const sending = new Sending(file, this.api, {
        changed: () => this.show(),
        begun: (material) => alone && this.events.show(material, false),
        done: (material) => this.done(key, file.name, material),
      });
      this.sendings.set(key, sending);
      this.interrupted.delete(key);
    }
    this.next();
  }

  pause(key: string): void {
    this.sendings.get(key)?.pause();
    this.next();
  }

  resume(key: string): void {
    this.sendings.get(key)?.wait();
    this.next();
  }

  /** Ends an upload, and frees what the cluster has of it. */
  async discard(key: string): Promise<void> {
    const sending = this.sendings.get(key);
    const former = this.interrupted.get(key);
    this.sendings.delete(key);
    this.interrupted.delete(key);
    this.next();
    if (sending) await sending.discard();
    if (former) {
      await defaultOptions.urlStorage?.removeUpload(former.urlStorageKey);
      if (former.uploadUrl) await Upload.terminate(former.uploadUrl, { headers: authorization() });
    }
  }

  private done(key: string, name: string, material: string): void {
    this.sendings.delete(key);
    this.next();
    this.events.tell(`${name} has arrived.`);
    this.events.show(material, true);
  }

  /** Begins with the next one if none is being sent. */
  private next(): void {
    const all = [...this.sendings.values()];
    if (!all.some(({ progress }) => progress.state === "sending")) {
      all.find(({ progress }) => progress.state === "waiting")?.start();
    }
    this.show();
  }

  private show(): void {
    const under_way = [...this.sendings.values()].map((sending) => sending.progress);
    const interrupted = [...this.interrupted].map(([key, former]): Progress => {
      return { key, name: former.metadata["filename"] ?? key, size: former.size ?? 0, state: "interrupted" };
    });
    this.store.patch({ uploads: [...under_way, ...interrupted] });
  }

  /** What a former visit to this page left unfinished: its file has to be given again, which no page may do by itself. */
  private async recall(): Promise<void> {
    const known = (await defaultOptions.urlStorage?.findAllUploads()) ?? [];
    for (const former of known) {
      // tus-js-client's form: "tus::", what it was given as the file's fingerprint, "::", a number.
      const key = former.urlStorageKey.split("::")[1] ?? "";
      if (key.startsWith("microtome-") && !this.sendings.has(key)) this.interrupted.set(key, former);
    }
    this.show();
  }
}
