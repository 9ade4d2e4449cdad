// Measures on the screen: the scale bar's length, and what a zoom is as a magnification.

/** A bar of a round length. */
export interface Bar {
  /** Length on the slide in micrometres: 1, 2 or 5 times a power of ten. */
  micrometres: number;
  /** Length on the screen in CSS pixels, at most what was asked for. */
  widthPx: number;
}

/** The longest bar of a round length that fits. `micrometresPerPx` is of a pixel of the screen. */
export function scaleBar(micrometresPerPx: number, widthPxMax: number): Bar | undefined {
  const longest = micrometresPerPx * widthPxMax;
  if (!Number.isFinite(longest) || longest <= 0) return undefined;
  const power = 10 ** Math.floor(Math.log10(longest));
  // A hair of tolerance: 10 ** -2 * 5 is not exactly 0.05.
  const step = [5, 2, 1].find((candidate) => candidate * power <= longest * (1 + 1e-9)) ?? 1;
  return { micrometres: step * power, widthPx: (step * power) / micrometresPerPx };
}

/** Usual objectives; a button is shown for each that the slide has. */
const OBJECTIVES = [1, 2.5, 5, 10, 20, 40, 60, 100];

/**
 * The magnification at one screen pixel per slide pixel: the scanner's word, else estimated from the pixel's size
 * (0.25 µm is 40×), else unknown.
 */
export function nativeMagnification(objectivePower?: number, mpp?: number): number | undefined {
  if (objectivePower !== undefined && objectivePower > 0) return objectivePower;
  if (mpp === undefined || !(mpp > 0)) return undefined;
  const estimate = 10 / mpp;
  const near = OBJECTIVES.find((objective) => Math.abs(objective - estimate) / objective < 0.15);
  return near ?? estimate;
}

/** One button of the magnification row. */
export interface Step {
  label: string;
  /** Screen pixels per pixel of level 0. */
  zoom: number;
}

/** The steps between the whole slide at `fitZoom` and the pixels as they are. */
export function magnificationSteps(native: number | undefined, fitZoom: number): Step[] {
  if (native === undefined) {
    const shares: [number, string][] = [[1 / 16, "1:16"], [1 / 4, "1:4"], [1, "1:1"]];
    return shares.map(([zoom, label]) => ({ zoom, label })).filter((step) => step.zoom > fitZoom * 1.05);
  }
  const wanted = [1, 5, 10, 20, 40, 60, 100].filter((power) => power <= native * 1.01);
  if (wanted.at(-1) !== native && !wanted.some((power) => Math.abs(power - native) / native < 0.02)) wanted.push(native);
  const steps = wanted.map((power) => ({ label: `${Math.round(power * 10) / 10}×`, zoom: power / native }));
  return steps.filter((step) => step.zoom > fitZoom * 1.05);
}
