// The material that is looked at: where its copies are, and what the slide says of itself.

import type { Api } from "../api/api.ts";
import { asProblem } from "../api/problem.ts";
import { type Ticket, Tickets } from "../api/tickets.ts";
import type { Material, SlideInfo } from "../api/types.ts";
import type { NodeHealth } from "../pixels/replicas.ts";
import { tooFlat } from "../pixels/pyramid.ts";
import { MaterialSource } from "../pixels/source.ts";
import { type Poll, poll } from "./poll.ts";
import type { State, Store } from "./store.ts";

const OPENING_EVERY_MS = 500;
const OPEN_EVERY_MS = 1_500;

export class OpenMaterial {
  source: MaterialSource;
  private poll: Poll | undefined;
  private abort = new AbortController();

  constructor(
    private readonly api: Api,
    private readonly store: Store<State>,
    private readonly health: NodeHealth,
    private readonly tickets = new Tickets(api),
  ) {
    this.source = new MaterialSource(health);
  }

  open(id: string): void {
    this.close();
    const { abort } = this;
    const known = this.store.state.materials?.find((material) => material.id === id);
    const ticket = this.tickets.of(id);
    this.source = new MaterialSource(this.health, ticket);
    this.store.patch({ openId: id, material: known });
    const everyMs = (): number => (this.store.state.slide ? OPEN_EVERY_MS : OPENING_EVERY_MS);
    this.poll = poll(() => this.refresh(id, ticket, abort.signal), everyMs);
  }

  close(): void {
    this.poll?.stop();
    this.abort.abort();
    this.abort = new AbortController();
    this.store.patch({ openId: undefined, material: undefined, slide: undefined, problem: undefined, runs: [] });
  }

  /** Asks at once where the copies are: one has just failed. */
  refreshNow(): void {
    this.poll?.now();
  }

  private async refresh(id: string, ticket: Ticket, signal: AbortSignal): Promise<void> {
    let material: Material;
    try {
      material = await this.api.get<Material>(`/v1/materials/${id}`);
    } catch (thrown) {
      const problem = asProblem(thrown, this.api.server);
      // What is on the screen stays there while coordinators are away: the nodes serve without them.
      if (!signal.aborted && !(problem.retryable && this.store.state.slide)) this.store.patch({ problem });
      return;
    }
    await ticket.carried(); // Links take what is there.
    if (signal.aborted) return;
    this.source.update(material.replicas);
    this.store.patch({ material });
    const { slide, problem } = this.store.state;
    if (slide !== undefined || (problem !== undefined && !problem.retryable)) return;
    // While it arrives nothing can be loaded: what went wrong before must not hide that all goes well now.
    if (material.replicas.some((replica) => replica.state === "verified")) await this.load(id, signal);
    else this.store.patch({ problem: undefined });
  }

  private async load(id: string, signal: AbortSignal): Promise<void> {
    try {
      const slide = await this.source.json<SlideInfo>(`/v1/materials/${id}/slide`, signal);
      const problem = tooFlat(slide);
      if (!signal.aborted) this.store.patch(problem ? { problem } : { slide, problem: undefined });
    } catch (thrown) {
      if (!signal.aborted) this.store.patch({ problem: asProblem(thrown, "the node") });
    }
  }
}
