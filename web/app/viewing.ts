// Joins what is known of the open material to the viewer: opens and closes slides, keeps the address in step with the
// view, and tells when another node or coordinator takes over.

import type { Api } from "./api/api.ts";
import type { OpenMaterial } from "./live/open_material.ts";
import type { State, Store } from "./live/store.ts";
import type { Notices } from "./panels/notices.ts";
import type { NodeHealth } from "./pixels/replicas.ts";
import { formatPosition, parsePosition } from "./viewer/position.ts";
import type { Stage } from "./viewer/stage.ts";

export interface ViewingParts {
  store: Store<State>;
  api: Api;
  health: NodeHealth;
  open: OpenMaterial;
  stage: Stage;
  notices: Notices;
}

export function connectViewer(parts: ViewingParts): void {
  openSlides(parts);
  keepAddress(parts);
  tellOfFailover(parts);
}

function openSlides({ store, open, stage }: ViewingParts): void {
  let shown: State["slide"];
  store.watch(["slide"], ({ slide }) => {
    if (slide === shown) return;
    shown = slide;
    if (slide) stage.viewer.show(slide, open.source, parsePosition(location.hash));
    else stage.viewer.close();
  });
  store.watch(["material", "openId"], ({ material, openId }) => {
    const name = openId === undefined ? undefined : material?.name;
    stage.setTitle(name ?? "");
    document.title = name === undefined ? "Microtome" : `${name} · Microtome`;
  });
  // Copies may have moved: tiles that no node gave may be had now.
  store.watch(["material"], () => stage.viewer.retryMissing());
}

function keepAddress({ stage }: ViewingParts): void {
  stage.viewer.onRest(() => {
    const { position } = stage.viewer;
    if (position) history.replaceState(history.state, "", formatPosition(position));
  });
  window.addEventListener("hashchange", () => {
    const position = parsePosition(location.hash);
    if (position) stage.viewer.goTo(position);
  });
}

function tellOfFailover({ store, api, health, open, notices }: ViewingParts): void {
  const nodeName = (url: string): string => store.state.nodes.find((node) => node.url === url)?.name ?? url;
  health.onChange = (url, well) => {
    open.refreshNow();
    const { material } = store.state;
    if (!material?.replicas.some((replica) => replica.url === url)) return;
    if (well) {
      notices.tell(`${nodeName(url)} answers again.`, "plain", url);
      return;
    }
    const next = material.replicas.find((replica) => {
      return replica.state === "verified" && replica.live && health.isWell(replica.url);
    });
    const now = next ? `now served by ${nodeName(next.url)}.` : "no other copy answers yet; this page goes on trying.";
    notices.tell(`${nodeName(url)} does not answer; ${now}`, "warn", url);
  };
  api.onMoved = (from, to) => notices.tell(`The coordinator at ${from} does not answer; now asking ${to}.`, "warn", "api");
  window.addEventListener("online", () => health.forgive());
}
