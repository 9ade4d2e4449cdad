// Reads a material's bytes, tiles and pictures straight from the nodes that hold it, from another one when one fails.

import { Problem, asProblem, problemFrom } from "../api/problem.ts";
import { withToken } from "../api/token.ts";
import type { Replica } from "../api/types.ts";
import { hedged } from "./hedge.ts";
import { NodeHealth, replicaOrder } from "./replicas.ts";

const SLOW_AFTER_MS = 2_500;
const FAILED_AFTER_MS = 10_000;

export class MaterialSource {
  private replicas: readonly Replica[] = [];

  constructor(readonly health: NodeHealth) {}

  update(replicas: readonly Replica[]): void {
    this.replicas = replicas;
  }

  /** The address of `path` at the best replica: for links and `<img>`. */
  address(path: string): string | undefined {
    const [first] = replicaOrder(this.replicas, this.health, path, Date.now());
    return first === undefined ? undefined : withToken(first + path);
  }

  async json<T>(path: string, signal: AbortSignal): Promise<T> {
    return this.read(path, (response) => response.json() as Promise<T>, signal);
  }

  async blob(path: string, signal: AbortSignal): Promise<Blob> {
    return this.read(path, (response) => response.blob(), signal);
  }

  /** A picture, decoded: bytes that do not decode are a failure of the node that sent them. */
  async picture(path: string, signal: AbortSignal): Promise<HTMLImageElement> {
    return this.read(path, async (response) => decode(await response.blob()), signal);
  }

  private async read<T>(path: string, take: (response: Response) => Promise<T>, signal: AbortSignal): Promise<T> {
    const urls = replicaOrder(this.replicas, this.health, path, Date.now());
    if (urls.length === 0) {
      throw new Problem(
        503,
        "unavailable",
        "No node that holds it answers",
        "no verified copy is known just now",
        "This page goes on trying by itself. Start the nodes that hold it.",
      );
    }
    const ask = async (url: string, abort: AbortSignal): Promise<T> => {
      const response = await fetch(withToken(url + path), { signal: abort });
      if (!response.ok) throw await problemFrom(response);
      return take(response);
    };
    try {
      return await hedged(urls, ask, {
        slowAfterMs: SLOW_AFTER_MS,
        failedAfterMs: FAILED_AFTER_MS,
        signal,
        onAnswered: (url) => this.health.answered(url, Date.now()),
        onFailed: (url, thrown) => {
          // A node that says why (no such tile, damaged, not a slide) is well; another copy may still be better.
          const refused = thrown instanceof Problem && thrown.status < 500;
          if (!refused) this.health.failed(url, Date.now());
        },
      });
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      throw asProblem(thrown, urls.join(", "));
    }
  }
}

/** Loads the bytes as a picture. `decode()` would be stricter, but gives up where memory for pictures is short. */
function decode(blob: Blob): Promise<HTMLImageElement> {
  return new Promise((resolve, reject) => {
    const image = new Image();
    const url = URL.createObjectURL(blob);
    image.onload = () => {
      URL.revokeObjectURL(url);
      resolve(image);
    };
    image.onerror = () => {
      URL.revokeObjectURL(url);
      const wayOut = "This page asks another copy. If all say the same, the slide is damaged at this place.";
      reject(new Problem(502, "undecodable", "The picture is damaged", "the bytes that came are no picture", wayOut));
    };
    image.src = url;
  });
}
