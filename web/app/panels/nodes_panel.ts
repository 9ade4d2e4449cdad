// The storage nodes: whether they answer, how full and how busy they are, which of them hold the open slide.

import type { Replica, StorageNode } from "../api/types.ts";
import { KeyedList, h, setShown, setText } from "../dom.ts";
import { bytes, percent, plural } from "../format.ts";
import type { State, Store } from "../live/store.ts";
import type { NodeHealth } from "../pixels/replicas.ts";
import { nodeCare } from "./node_care.ts";

/** A node that gave something within this time serves the view. */
const SERVES_MS = 10_000;

export function createNodesPanel(store: Store<State>, health: NodeHealth): HTMLElement {
  const rows = h("div", { class: "nodes" });
  const note = h("p", { class: "muted" }, "No storage node has joined yet.");
  const list = new KeyedList<StorageNode, NodeRow>(rows, (node) => node.id, () => new NodeRow(store, health));
  store.watch(["nodes", "material"], ({ nodes, cluster }) => {
    const members = nodes.filter((node) => node.lifecycle === "member");
    members.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
    list.show(members);
    setShown(note, cluster !== undefined && members.length === 0);
  });
  return h("section", { class: "panel", "aria-label": "Storage nodes" }, h("h2", {}, "Storage nodes"), rows, note);
}

class NodeRow {
  readonly element: HTMLElement;
  private readonly dot = h("span", { class: "dot" });
  private readonly name = h("span", { class: "node-name" });
  private readonly zone = h("span", { class: "muted" });
  private readonly holds = h("span", { class: "chip" });
  private readonly diskFill = h("span");
  private readonly disk = h("div", { class: "meter", role: "img" }, this.diskFill);
  private readonly diskText = h("span", { class: "node-figures" });
  private readonly figures = h("span", { class: "node-figures" });
  private readonly care = h("div", { class: "node-care" });

  constructor(private readonly store: Store<State>, private readonly health: NodeHealth) {
    const head = h("div", { class: "node-head" }, this.dot, this.name, this.zone, this.holds);
    this.element = h("div", { class: "node" }, head, this.disk, this.diskText, this.figures, this.care);
  }

  update(node: StorageNode): void {
    const { report, availability } = node;
    const words = { up: "answers", unreachable: "silent", down: "down" }[availability];
    this.dot.className = `dot ${{ up: "good", unreachable: "warn", down: "bad" }[availability]}`;
    this.dot.title = words;
    this.element.classList.toggle("away", availability !== "up");
    setText(this.name, node.name);
    this.name.title = `${node.id} · ${node.url}`;
    const scheduling = node.scheduling === "active" ? undefined : node.scheduling;
    setText(this.zone, [node.zone, scheduling, availability === "up" ? undefined : words].filter(Boolean).join(" · "));
    this.showReplica(this.store.state.material?.replicas.find((replica) => replica.node === node.id));

    const lines = nodeCare(node, Date.now());
    this.care.replaceChildren(...lines.map(({ tone, text }) => h("span", {}, h("span", { class: `dot ${tone}` }), text)));
    setShown(this.care, lines.length > 0);

    setShown(this.disk, report !== undefined);
    setShown(this.diskText, report !== undefined);
    if (!report) {
      setText(this.figures, `${plural(node.replicas, "copy", "copies")} · not heard yet`);
      return;
    }
    const used = report.disk_total > 0 ? 1 - report.disk_free / report.disk_total : 0;
    this.diskFill.style.width = `${used * 100}%`;
    this.disk.classList.toggle("full", used > 0.9 || report.disk_full === true);
    const text = `${bytes(report.disk_free)} of ${bytes(report.disk_total)} free`;
    this.disk.setAttribute("aria-label", `Disk: ${text}`);
    setText(this.diskText, `${text} · ${plural(node.replicas, "copy", "copies")}`);
    this.diskText.title = `${bytes(report.stored)} of materials`;
    const memory = report.memory_total > 0 ? 1 - report.memory_free / report.memory_total : 0;
    setText(this.figures, `CPU ${percent(report.cpu)} · memory ${percent(memory)}`);
  }

  private showReplica(replica: Replica | undefined): void {
    setShown(this.holds, replica !== undefined);
    if (!replica) return;
    const whole = replica.state === "verified";
    const serves = Date.now() - (this.health.answeredAtMs(replica.url) ?? -Infinity) < SERVES_MS;
    const text = whole ? (serves && replica.live ? "serves this view" : "holds this slide") : replica.state;
    setText(this.holds, text);
    this.holds.className = `chip ${!replica.live ? "bad" : whole ? "good" : "busy"}`;
  }
}
