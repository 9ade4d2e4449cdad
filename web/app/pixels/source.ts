// Reads a material's bytes, tiles and pictures straight from the nodes that hold it, from another one when one fails.

import { Problem, asProblem, problemFrom } from "../api/problem.ts";
import { FREE, type Ticket } from "../api/tickets.ts";
import { withToken } from "../api/token.ts";
import type { Replica } from "../api/types.ts";
import { type Ask, hedged } from "./hedge.ts";
import { NodeHealth, replicaOrder } from "./replicas.ts";

/** How long a node may take before another one is asked beside it, and before it counts as silent. */
export interface Patience {
  slowAfterMs: number;
  headWithinMs: number;
}

/** For what lies ready or is soon made. */
export const SENT: Patience = { slowAfterMs: 2_500, headWithinMs: 10_000 };
/** For pictures that a node draws from hundreds of tiles, perhaps behind others of the kind. */
export const DRAWN: Patience = { slowAfterMs: 10_000, headWithinMs: 30_000 };
/** Time for an answer's bytes once it has begun: a connection may die without a word. */
const BODY_WITHIN_MS = 30_000;

export class MaterialSource {
  private replicas: readonly Replica[] = [];

  constructor(
    readonly health: NodeHealth,
    private readonly ticket: Ticket = FREE,
  ) {}

  update(replicas: readonly Replica[]): void {
    this.replicas = replicas;
  }

  /** The address of `path` at the best replica: for links and `<img>`. */
  address(path: string): string | undefined {
    // Nobody hears how a link went: it must not be a rested node's trial.
    const [first] = replicaOrder(this.replicas, this.health, path, Date.now(), false);
    return first === undefined ? undefined : withToken(first + path, this.ticket.token());
  }

  async json<T>(path: string, signal: AbortSignal): Promise<T> {
    return this.read(path, (response) => response.json() as Promise<T>, signal, SENT);
  }

  async blob(path: string, signal: AbortSignal): Promise<Blob> {
    return this.read(path, (response) => response.blob(), signal, SENT);
  }

  /** A picture, decoded: bytes that do not decode are a failure of the node that sent them. */
  async picture(path: string, signal: AbortSignal, patience = SENT): Promise<HTMLImageElement> {
    return this.read(path, async (response) => decode(await response.blob()), signal, patience);
  }

  private async read<T>(
    path: string,
    take: (response: Response) => Promise<T>,
    signal: AbortSignal,
    patience: Patience,
  ): Promise<T> {
    const urls = replicaOrder(this.replicas, this.health, path, Date.now(), true);
    if (urls.length === 0) {
      throw new Problem(
        503,
        "unavailable",
        "No node that holds it answers",
        "no verified copy is known just now",
        "This page goes on trying by itself. Start the nodes that hold it.",
      );
    }
    const { token, headers } = await this.ticket.carried();
    signal.throwIfAborted();
    const ask: Ask<T> = async (url, abort, begun) => {
      const response = await fetch(withToken(url + path, token), { signal: abort, headers });
      begun();
      if (!response.ok) throw await problemFrom(response);
      return take(response);
    };
    try {
      return await hedged(urls, ask, {
        ...patience,
        bodyWithinMs: BODY_WITHIN_MS,
        signal,
        onAnswered: (url) => this.health.answered(url, Date.now()),
        onOvertaken: (url) => this.health.lagged(url, Date.now()),
        onFailed: (url, thrown, begun) => {
          // A node that says why (no such tile, damaged, not a slide) is well; another copy may still be better.
          const refused = thrown instanceof Problem && thrown.status < 500;
          if (!begun) this.health.failed(url, Date.now());
          else if (!refused) this.health.lagged(url, Date.now());
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
