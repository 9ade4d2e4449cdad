// Where one looks, as text in the address behind `#`: a copied link opens the same view.

export interface Position {
  /** Centre in pixels of level 0. */
  x: number;
  y: number;
  /** Screen pixels per pixel of level 0. */
  zoom: number;
  /** Degrees clockwise, 0 up to 360. */
  rotation: number;
}

export function formatPosition(position: Position): string {
  const zoom = Number(position.zoom.toPrecision(4));
  const rotation = ((Math.round(position.rotation) % 360) + 360) % 360;
  const turned = rotation === 0 ? "" : `&rotation=${rotation}`;
  return `#x=${Math.round(position.x)}&y=${Math.round(position.y)}&zoom=${zoom}${turned}`;
}

/** Nothing where the text is no position: links are edited and cut by people and programs. */
export function parsePosition(hash: string): Position | undefined {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const number = (key: string): number => {
    const text = values.get(key);
    return text === null || text.trim() === "" ? Number.NaN : Number(text);
  };
  const position = { x: number("x"), y: number("y"), zoom: number("zoom"), rotation: number("rotation") };
  if (Number.isNaN(position.rotation)) position.rotation = 0;
  const usable = Object.values(position).every(Number.isFinite) && position.zoom > 0;
  return usable ? position : undefined;
}
