// Keeps the cluster, its nodes and the list of materials up to date.

import type { Api } from "../api/api.ts";
import { asProblem } from "../api/problem.ts";
import type { Cluster, Material, Page, StorageNode } from "../api/types.ts";
import { poll } from "./poll.ts";
import type { State, Store } from "./store.ts";

const CLUSTER_EVERY_MS = 1_500;
/** A long list is fetched less often. */
const LIST_EVERY_MS = 1_500;
const LONG_LIST_EVERY_MS = 6_000;
const LONG_LIST = 200;
/** Materials that are listed at most; search on the server comes with accounts and spaces. */
const LISTED_MAX = 1_000;

export function startFeeds(api: Api, store: Store<State>): void {
  const tell = (thrown: unknown): void => {
    const problem = asProblem(thrown, api.server);
    // Whoever may look at one material only looks at that.
    if (problem.status !== 403 || problem.code === "token_revoked") store.patch({ offline: problem });
  };
  poll(async () => {
    try {
      const [cluster, nodes] = await Promise.all([
        api.get<Cluster>("/v1/cluster"),
        api.get<Page<StorageNode>>("/v1/nodes?limit=1000"),
      ]);
      api.learn(cluster.coordinators.map((coordinator) => coordinator.url));
      store.patch({ cluster, nodes: nodes.items, offline: undefined });
    } catch (thrown) {
      tell(thrown);
    }
  }, () => CLUSTER_EVERY_MS);

  poll(async () => {
    try {
      const page = await api.get<Page<Material>>(`/v1/materials?limit=${LISTED_MAX}`);
      store.patch({ materials: page.items, materialsCut: page.next_cursor !== undefined });
    } catch (thrown) {
      tell(thrown);
    }
  }, () => ((store.state.materials?.length ?? 0) > LONG_LIST ? LONG_LIST_EVERY_MS : LIST_EVERY_MS));
}
