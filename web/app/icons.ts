// Icons, drawn on a grid of 24 with round strokes of 1.75.

const SHAPES = {
  home: "M4 8V5a1 1 0 0 1 1-1h3M16 4h3a1 1 0 0 1 1 1v3M20 16v3a1 1 0 0 1-1 1h-3M8 20H5a1 1 0 0 1-1-1v-3M9 9h6v6H9z",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  rotateLeft: "M4 4v5h5M4.6 14a8 8 0 1 0 1.6-8.3L4 9",
  rotateRight: "M20 4v5h-5M19.4 14a8 8 0 1 1-1.6-8.3L20 9",
  fullscreen: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.6-5.6L12 7M14 10a4 4 0 0 0-6-.4l-3 3A4 4 0 0 0 10.6 18.2L12 17",
  help: "M9.2 9a3 3 0 0 1 5.8 1c0 2-3 2.5-3 4.5M12 18h.01",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM20 20l-4-4",
  list: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  panel: "M5 4h14a1 1 0 0 1 1 1v14a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1zM14.5 4v16",
  close: "M6 6l12 12M18 6L6 18",
  upload: "M12 19V8M7 12l5-5 5 5M5 4h14",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  pause: "M9 6v12M15 6v12",
  play: "M8 5.5v13l10-6.5z",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  file: "M14 3H7a1 1 0 0 0-1 1v16a1 1 0 0 0 1 1h10a1 1 0 0 0 1-1V7zM14 3v4h4",
  slide: "M4 7.5h16a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1zM7 7.5v9M11 12c0-1.6 1.8-2.5 3.4-2 1.9.5 3.1 1.5 2.6 3-.4 1.4-2.2 1.6-3.4 1.5-1.5-.1-2.6-1-2.6-2.5z",
  chart: "M4 20h16M7 16v-4M12 16V6M17 16v-7",
  warning: "M12 4l9 16H3zM12 10v4M12 17h.01",
  copy: "M9 9h10v11H9zM5 15V4h10",
  node: "M5 5h14v5H5zM5 14h14v5H5zM8 7.5h.01M8 16.5h.01",
} as const;

export type IconName = keyof typeof SHAPES;

const NAMESPACE = "http://www.w3.org/2000/svg";

/** An icon; it takes the text's colour and is silent for screen readers. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(NAMESPACE, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(NAMESPACE, "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}
