// Everything that can go wrong, as one kind of error: the server's problem+json, or a server that does not answer.

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
    readonly wayOut: string,
  ) {
    super(`${title}: ${detail}`);
    this.name = "Problem";
  }

  /** Whether the same request may well succeed a little later or from another server. */
  get retryable(): boolean {
    return this.status === 0 || [408, 423, 429, 500, 502, 503, 504].includes(this.status);
  }
}

/** The problem that an answer which is no success tells of. */
export async function problemFrom(response: Response): Promise<Problem> {
  const body = await readJson(response);
  const text = (key: string, otherwise: string): string => {
    const value = body[key];
    return typeof value === "string" && value !== "" ? value : otherwise;
  };
  return new Problem(
    response.status,
    text("code", `http_${response.status}`),
    text("title", "The server refused the request"),
    text("detail", `${response.status} ${response.statusText}`.trim()),
    text("way_out", "Try it again in a moment."),
  );
}

async function readJson(response: Response): Promise<Record<string, unknown>> {
  try {
    const value: unknown = await response.json();
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {}; // Something between here and the server answered with a page of its own.
  }
}

/** Whatever was thrown, as a problem. `who` is the server that was asked. */
export function asProblem(thrown: unknown, who: string): Problem {
  if (thrown instanceof Problem) return thrown;
  const late = thrown instanceof DOMException && thrown.name === "TimeoutError";
  return new Problem(
    0,
    late ? "timeout" : "unreachable",
    late ? "The server takes too long" : "The server does not answer",
    late ? `${who} has not answered in time` : `${who} cannot be reached`,
    "This page goes on trying by itself. Check that the server runs and that the network reaches it.",
  );
}
