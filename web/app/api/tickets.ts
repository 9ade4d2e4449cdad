// Tokens that read one material each, for the addresses of tiles and pictures: what stands in an address is seen by others,
// and this one's own token, which may do everything, must not be.

import type { Api } from "./api.ts";
import { Problem } from "./problem.ts";
import { authorization, token } from "./token.ts";

/** The longest life that coordinators give, in seconds. */
const LIFE_S = 900;
/** A new one is asked for this long before: a cluster without coordinators for minutes goes on being looked at. */
const RENEW_AFTER_MS = 300_000;
/** Clocks and requests under way take their time. */
const MARGIN_MS = 30_000;
/** Where coordinators give none, they are asked again after this. */
const AGAIN_AFTER_MS = 5_000;
const KEPT_MAX = 500;

/** What a request carries that says who asks. */
export interface Carried {
  /** For the address: of no use to anybody for anything but this material. */
  token?: string;
  headers: Record<string, string>;
}

export interface Ticket {
  carried(): Promise<Carried>;
  /** The token for an address, where there is one just now. */
  token(): string | undefined;
}

/** Where tokens are not checked. */
export const FREE: Ticket = { carried: () => Promise.resolve({ headers: {} }), token: () => undefined };

interface Entry {
  token: string | undefined;
  renewAtMs: number;
  untilMs: number;
}

export class Tickets {
  private readonly known = new Map<string, Entry>();
  private readonly asking = new Map<string, Promise<void>>();

  constructor(private readonly api: Api) {}

  of(id: string): Ticket {
    return { carried: () => this.carried(id), token: () => this.valid(id)?.token };
  }

  private async carried(id: string): Promise<Carried> {
    if (token() === undefined) return { headers: {} };
    const known = this.valid(id);
    if (known === undefined) await this.ask(id);
    else if (Date.now() >= known.renewAtMs) void this.ask(id);
    const given = this.valid(id)?.token;
    // The browser asks the node first whether it may send the header: slower, and better than not at all.
    return given === undefined ? { headers: authorization() } : { token: given, headers: {} };
  }

  private valid(id: string): Entry | undefined {
    const entry = this.known.get(id);
    return entry !== undefined && Date.now() < entry.untilMs ? entry : undefined;
  }

  /** Asks once for all who wait. */
  private ask(id: string): Promise<void> {
    let asked = this.asking.get(id);
    if (asked === undefined) {
      asked = this.renew(id).finally(() => this.asking.delete(id));
      this.asking.set(id, asked);
    }
    return asked;
  }

  private async renew(id: string): Promise<void> {
    const began = Date.now();
    const untilMs = began + LIFE_S * 1000 - MARGIN_MS;
    let entry: Entry;
    try {
      const made = await this.api.post<{ token: string }>(`/v1/materials/${id}/tokens`, { expires_in_s: LIFE_S });
      entry = { token: made.token, renewAtMs: began + RENEW_AFTER_MS, untilMs };
    } catch (thrown) {
      // Whoever may not ask for one has one already, or is told by the node what is wrong.
      const own = thrown instanceof Problem && thrown.status === 403;
      const again = began + AGAIN_AFTER_MS;
      const known = this.valid(id);
      if (own) entry = { token: token(), renewAtMs: untilMs, untilMs };
      else entry = known ? { ...known, renewAtMs: again } : { token: undefined, renewAtMs: again, untilMs: again };
    }
    this.known.delete(id);
    this.known.set(id, entry);
    if (this.known.size <= KEPT_MAX) return;
    for (const oldest of this.known.keys()) {
      this.known.delete(oldest);
      break;
    }
  }
}
