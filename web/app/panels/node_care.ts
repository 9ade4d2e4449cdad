// What a node's operator should know of it: what is wrong with its disk, what is being moved away, when its bytes were checked.

import type { StorageNode } from "../api/types.ts";
import { age, bytes, duration, percent, plural } from "../format.ts";
import type { Tone } from "./material_state.ts";

export interface Care {
  tone: Tone;
  text: string;
}

/** The gravest thing first; the last line always tells of the check. */
export function nodeCare(node: StorageNode, now: number): Care[] {
  const lines: Care[] = [];
  const { report, drain } = node;
  if (report?.disk_full) {
    lines.push({ tone: "bad", text: "Disk full: takes no uploads and copies until there is room again" });
  }
  if (report?.damaged) {
    lines.push({ tone: "warn", text: `${plural(report.damaged, "copy", "copies")} damaged by the disk, being mended` });
  }
  if (node.scheduling === "draining" && drain) {
    const things = [
      drain.copies > 0 ? `${plural(drain.copies, "copy", "copies")}, ${bytes(drain.bytes_left)}` : "",
      drain.uploads > 0 ? plural(drain.uploads, "upload") : "",
      drain.runs > 0 ? plural(drain.runs, "run") : "",
    ].filter(Boolean);
    const left = drain.seconds_left === undefined ? "" : ` · ${duration(drain.seconds_left)}`;
    const done = things.length === 0;
    lines.push(
      done
        ? { tone: "good", text: "Drained: nothing is left here" }
        : { tone: "busy", text: `Draining: ${things.join(", ")} left${left}` },
    );
  }
  const scrub = report?.scrub;
  if (scrub) {
    const all = scrub.read + scrub.left;
    const text = scrub.finished_at
      ? `Every byte checked ${age(scrub.finished_at, now)}`
      : `Checking every byte: ${percent(all > 0 ? scrub.read / all : 0)}`;
    lines.push({ tone: "quiet", text });
  }
  return lines;
}
