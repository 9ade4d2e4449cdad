// What the keys do.

import type { State, Store } from "./live/store.ts";
import type { MaskControl } from "./panels/mask_control.ts";
import type { MaterialList } from "./panels/material_list.ts";
import { type Shortcut, onKey } from "./viewer/keyboard.ts";
import { stepZoom } from "./viewer/magnifier.ts";
import type { Stage } from "./viewer/stage.ts";
import { ZOOM_STEP } from "./viewer/toolbar.ts";

const PAN_SHARE = 0.2;

const PANS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

export interface ShortcutParts {
  store: Store<State>;
  stage: Stage;
  list: MaterialList;
  masks: MaskControl;
  go: (path: string) => void;
  choose: () => void;
  copyLink: () => void;
  toggle: (part: "list" | "side") => void;
  help: () => void;
}

export function createShortcuts(parts: ShortcutParts): Shortcut[] {
  const { viewer } = parts.stage;
  const neighbour = (step: 1 | -1): void => {
    const id = parts.list.neighbour(step);
    if (id !== undefined) parts.go(`/view/${id}`);
  };
  return [
    {
      keys: "← ↑ → ↓",
      label: "Move",
      matches: (event) => event.key in PANS && viewer.slide !== undefined,
      run: (event) => {
        const [across, down] = PANS[event.key] ?? [0, 0];
        viewer.panBy(across * PAN_SHARE, down * PAN_SHARE);
      },
    },
    onKey("+", "Zoom in", ["+", "="], () => viewer.zoomBy(ZOOM_STEP)),
    onKey("−", "Zoom out", ["-", "_"], () => viewer.zoomBy(1 / ZOOM_STEP)),
    onKey("0", "Whole slide", ["0", "Home"], () => viewer.home()),
    {
      keys: "1 … 9",
      label: "Magnification, by its place in the row",
      matches: (event) => /^[1-9]$/.test(event.key),
      run: (event) => {
        const zoom = stepZoom(viewer, Number(event.key) - 1);
        if (zoom !== undefined) viewer.zoomTo(zoom);
      },
    },
    onKey("R", "Rotate right", ["r"], () => viewer.rotateBy(90)),
    onKey("Shift R", "Rotate left", ["R"], () => viewer.rotateBy(-90)),
    onKey("M", "Mask on or off", ["m", "M"], () => parts.masks.toggle(parts.store.state.runs)),
    onKey("C", "Copy a link to this view", ["c", "C"], parts.copyLink),
    onKey("F", "Full screen", ["f", "F"], () => parts.stage.toggleFullscreen()),
    onKey("[", "Slide before in the list", ["["], () => neighbour(-1)),
    onKey("]", "Next slide in the list", ["]"], () => neighbour(1)),
    onKey("U", "Upload files", ["u", "U"], parts.choose),
    onKey("/", "Search", ["/"], () => parts.list.focusSearch()),
    onKey("L", "List of slides", ["l", "L"], () => parts.toggle("list")),
    onKey("I", "Facts, analysis and nodes", ["i", "I"], () => parts.toggle("side")),
    onKey("?", "This help", ["?"], parts.help),
  ];
}
