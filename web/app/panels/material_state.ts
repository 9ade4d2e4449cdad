// A material's state in a few words and a colour.

import type { Material } from "../api/types.ts";
import { plural } from "../format.ts";

export type Tone = "good" | "busy" | "warn" | "bad" | "quiet";

export interface StateLine {
  tone: Tone;
  text: string;
  /** 0 to 1 where it is known how far it is; absent where nothing is under way. */
  progress?: number | "unknown";
}

export function materialState(material: Material): StateLine {
  const { state, population, population_live: live } = material;
  switch (state) {
    case "ready":
      return { tone: "good", text: `Ready · ${plural(live, "copy", "copies")}` };
    case "degraded": {
      const copying = material.replicas.some((replica) => replica.state === "copying" && replica.live);
      const text = `${copying ? "Copying" : "Degraded"} · ${live} of ${plural(population, "copy", "copies")}`;
      return copying ? { tone: "busy", text, progress: share(material, "copying") } : { tone: "warn", text };
    }
    case "receiving": {
      const check = material.replicas.find((replica) => replica.check)?.check;
      if (check) return { tone: check.startsWith("cannot") ? "warn" : "busy", text: `Arrived · ${check}` };
      return { tone: "busy", text: "Arriving", progress: share(material, "receiving") };
    }
    case "unavailable":
      return { tone: "bad", text: "No node that holds it answers" };
    case "archived":
      return { tone: "quiet", text: "In the archive" };
    case "deleting":
      return { tone: "quiet", text: "Being deleted" };
  }
}

function share(material: Material, state: "copying" | "receiving"): number | "unknown" {
  const offsets = material.replicas.filter((replica) => replica.state === state).map((replica) => replica.offset);
  const known = offsets.filter((offset) => offset !== undefined);
  if (known.length === 0 || material.size === 0) return "unknown";
  return Math.min(1, Math.max(...known) / material.size);
}
