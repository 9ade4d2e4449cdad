// The cluster's health at a glance, in the bar on top.

import { loggedInAs, logOut } from "../api/login.ts";
import type { Problem } from "../api/problem.ts";
import { authorization } from "../api/token.ts";
import type { Cluster } from "../api/types.ts";
import { h, setShown, setText } from "../dom.ts";
import { bytes, duration, plural } from "../format.ts";
import type { State, Store } from "../live/store.ts";
import type { Tone } from "./material_state.ts";

export function createClusterBar(store: Store<State>): HTMLElement {
  const text = h("span", { class: "health-text" });
  const dot = h("span", { class: "dot" });
  const health = h("div", { class: "health", role: "status" }, dot, text);
  const facts = h("div", { class: "health-facts" });
  const name = h("span", { class: "cluster-name" });
  store.watch(["cluster", "offline"], ({ cluster, offline }) => {
    const verdict = offline ? offlineVerdict(offline, cluster !== undefined) : cluster ? clusterVerdict(cluster) : undefined;
    setText(text, verdict?.text ?? "Connecting …");
    dot.className = `dot ${verdict?.tone ?? "quiet"}`;
    health.title = offline ? `${offline.title}: ${offline.detail}` : "";
    setShown(facts, cluster !== undefined && !offline);
    if (!cluster) return;
    setText(name, cluster.name);
    const live = cluster.coordinators.filter((coordinator) => coordinator.live).length;
    const parts = [
      `${cluster.nodes_up}/${plural(cluster.nodes, "node")}`,
      `${live}/${plural(cluster.coordinators.length, "coordinator")}`,
      `${plural(cluster.materials, "file")}, ${bytes(cluster.bytes)}`,
    ];
    if (cluster.auth === "off") parts.push("open: no tokens are checked");
    setText(facts, parts.join(" · "));
  });
  return h("div", { class: "cluster" }, name, health, facts, ownName());
}

/** Who is logged in, and the way out. */
function ownName(): HTMLElement | undefined {
  const name = loggedInAs();
  if (name === undefined) return undefined;
  const leave = async (): Promise<void> => {
    await logOut(authorization());
    location.reload();
  };
  return h(
    "div",
    { class: "own" },
    h("span", { class: "own-name" }, name),
    h("button", { type: "button", class: "button", onclick: () => void leave() }, "Log out"),
  );
}

interface Verdict {
  tone: Tone;
  text: string;
}

function offlineVerdict(offline: Problem, known: boolean): Verdict {
  if (offline.status === 401 || offline.code === "token_revoked") return { tone: "quiet", text: "Not logged in" };
  return { tone: "bad", text: known ? "No coordinator answers; what is open stays open" : "No coordinator answers" };
}

/** The gravest thing first. */
export function clusterVerdict(cluster: Cluster): Verdict {
  const { coordinators, healing } = cluster;
  const silent = cluster.nodes - cluster.nodes_up;
  const live = coordinators.filter((coordinator) => coordinator.live).length;
  if (!coordinators.some((coordinator) => coordinator.leader && coordinator.live)) {
    return { tone: "bad", text: "No coordinator leads: nothing can be changed just now" };
  }
  if (healing.materials > 0) {
    const left = healing.seconds_left === undefined ? "" : `, ${duration(healing.seconds_left)}`;
    const bytesLeft = healing.bytes_left > 0 ? `: ${bytes(healing.bytes_left)} to copy${left}` : "";
    const away = silent > 0 ? `${plural(silent, "node")} away, ` : "";
    const verb = healing.copies > 0 ? "making whole" : "waiting with";
    return { tone: healing.copies > 0 ? "busy" : "warn", text: capital(`${away}${verb} ${plural(healing.materials, "file")}${bytesLeft}`) };
  }
  if (silent > 0) return { tone: "warn", text: `${plural(silent, "node")} of ${cluster.nodes} ${silent === 1 ? "does" : "do"} not answer` };
  if (live < coordinators.length) {
    const away = coordinators.length - live;
    return { tone: "warn", text: `${plural(away, "coordinator")} ${away === 1 ? "does" : "do"} not answer` };
  }
  if (cluster.rebalance) {
    const { bytes_left, seconds_left } = cluster.rebalance;
    const left = seconds_left === undefined ? "" : `, ${duration(seconds_left)}`;
    return { tone: "busy", text: `Making nodes equally full: ${bytes(bytes_left)} to move${left}` };
  }
  if (cluster.nodes === 0) return { tone: "warn", text: "No storage node has joined yet" };
  return { tone: "good", text: "All is well" };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
