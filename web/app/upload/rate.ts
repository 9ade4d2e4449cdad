// How fast something comes along, over the last seconds.

/** What is older does not count. */
const LOOKED_BACK_MS = 8_000;
/** Less is too short to tell. */
const SEEN_MS = 400;

export class Rate {
  private samples: { at: number; bytes: number }[] = [];

  /** So many bytes are there at this time, in milliseconds. */
  add(at: number, bytes: number): void {
    if (bytes < (this.samples.at(-1)?.bytes ?? 0)) this.samples = []; // It begins anew.
    this.samples.push({ at, bytes });
    const first = this.samples.findIndex((sample) => at - sample.at <= LOOKED_BACK_MS);
    this.samples.splice(0, first);
  }

  /** Bytes in a second; absent as long as it cannot be told. */
  perSecond(): number | undefined {
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    if (!first || !last || last.at - first.at < SEEN_MS) return undefined;
    return ((last.bytes - first.bytes) * 1000) / (last.at - first.at);
  }

  forget(): void {
    this.samples = [];
  }
}
