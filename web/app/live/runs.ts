// The runs on the material that is looked at.

import type { Api } from "../api/api.ts";
import { type Page, type Run, isFinal } from "../api/types.ts";
import { type Poll, poll } from "./poll.ts";
import type { State, Store } from "./store.ts";

const ACTIVE_EVERY_MS = 700;
const QUIET_EVERY_MS = 5_000;
const PAGE = 1_000;

export class Runs {
  private readonly poll: Poll;

  constructor(private readonly api: Api, private readonly store: Store<State>) {
    const active = (): boolean => store.state.runs.some((run) => !isFinal(run.state));
    this.poll = poll(() => this.refresh(), () => (active() ? ACTIVE_EVERY_MS : QUIET_EVERY_MS));
    store.watch(["openId"], () => this.poll.now());
  }

  /** Starts a pipeline on the material that is looked at. */
  async start(pipeline: string): Promise<void> {
    const { openId, runs } = this.store.state;
    if (openId === undefined) return;
    const run = await this.api.post<Run>("/v1/runs", { pipeline, inputs: [openId], parameters: {} });
    if (this.store.state.openId === openId) this.store.patch({ runs: [run, ...runs] });
    this.poll.now();
  }

  async cancel(id: string): Promise<void> {
    await this.api.post(`/v1/runs/${id}/cancel`);
    this.poll.now();
  }

  private async refresh(): Promise<void> {
    const { openId } = this.store.state;
    if (openId === undefined) return;
    let page: Page<Run>;
    try {
      page = await this.api.get<Page<Run>>(`/v1/runs?limit=${PAGE}`);
    } catch {
      return; // The cluster's own feed shows that nobody answers.
    }
    if (this.store.state.openId !== openId) return;
    const mine = page.items.filter((run) => run.inputs.includes(openId));
    mine.sort((a, b) => b.created_at.localeCompare(a.created_at));
    this.store.patch({ runs: mine });
  }
}
