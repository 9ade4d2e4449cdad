// Asks one server after another for the same thing: the next at once when one fails, and beside it when one is slow.

export interface HedgeOptions {
  /** A server that has not answered by then gets company. */
  slowAfterMs: number;
  /** A server whose answer has not begun by then has failed. */
  headWithinMs: number;
  /** An answer that has not ended so long after it began has failed. */
  bodyWithinMs: number;
  signal: AbortSignal;
  /** The server failed; `begun` tells whether it had begun to answer. */
  onFailed: (url: string, thrown: unknown, begun: boolean) => void;
  /** The server was slower than one that was asked after it. */
  onOvertaken: (url: string) => void;
  onAnswered: (url: string) => void;
}

/** Asks one server; calls `begun` when its answer begins. */
export type Ask<T> = (url: string, signal: AbortSignal, begun: () => void) => Promise<T>;

/** What the first server to succeed gives. Where all fail, throws what the last one threw. */
export function hedged<T>(urls: readonly string[], ask: Ask<T>, options: HedgeOptions): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const waiting = [...urls];
    const running = new Map<string, AbortController>();
    let settled = false;
    let last: unknown = new Error("there is no server to ask");
    let slow: ReturnType<typeof setTimeout> | undefined;

    const settle = (): void => {
      settled = true;
      clearTimeout(slow);
      options.signal.removeEventListener("abort", aborted);
      for (const request of running.values()) request.abort();
    };
    const aborted = (): void => {
      settle();
      reject(options.signal.reason as Error);
    };
    const next = (): void => {
      clearTimeout(slow);
      const url = waiting.shift();
      if (url === undefined) {
        if (running.size > 0) return;
        settle();
        reject(last as Error);
        return;
      }
      start(url);
      slow = setTimeout(next, options.slowAfterMs);
    };
    const start = (url: string): void => {
      const request = new AbortController();
      running.set(url, request);
      const limit = (ms: number): ReturnType<typeof setTimeout> =>
        setTimeout(() => request.abort(new DOMException("no answer", "TimeoutError")), ms);
      let late = limit(options.headWithinMs);
      let begun = false;
      const begin = (): void => {
        begun = true;
        clearTimeout(late);
        late = limit(options.bodyWithinMs);
      };
      ask(url, request.signal, begin)
        .then((value) => {
          if (settled) return;
          const overtaken = [...running.keys()].slice(0, [...running.keys()].indexOf(url));
          running.delete(url);
          settle();
          for (const slower of overtaken) options.onOvertaken(slower);
          options.onAnswered(url);
          resolve(value);
        })
        .catch((thrown: unknown) => {
          if (settled) return;
          running.delete(url);
          last = thrown;
          options.onFailed(url, thrown, begun);
          next();
        })
        .finally(() => clearTimeout(late));
    };

    if (options.signal.aborted) {
      aborted();
      return;
    }
    options.signal.addEventListener("abort", aborted);
    next();
  });
}
