import assert from "node:assert/strict";
import { test } from "node:test";
import { magnificationSteps, nativeMagnification, scaleBar } from "../../app/pixels/scale.ts";

test("the scale bar has the longest round length that fits", () => {
  assert.deepEqual(scaleBar(0.5, 160), { micrometres: 50, widthPx: 100 });
  assert.deepEqual(scaleBar(1, 100), { micrometres: 100, widthPx: 100 });
  assert.equal(scaleBar(1, 99)?.micrometres, 50);
  assert.equal(scaleBar(1, 19)?.micrometres, 10);
});

test("at every zoom the bar is true to scale, round, and not much shorter than its place", () => {
  for (let zoom = 0.001; zoom < 20; zoom *= 1.07) {
    const micrometresPerPx = 0.2527 / zoom;
    const bar = scaleBar(micrometresPerPx, 160);
    assert.ok(bar);
    assert.ok(Math.abs(bar.widthPx * micrometresPerPx - bar.micrometres) < 1e-9 * bar.micrometres);
    assert.ok(bar.widthPx <= 160.001 && bar.widthPx >= 160 / 2.51, `${bar.widthPx} px at ${zoom}`);
    const mantissa = bar.micrometres / 10 ** Math.floor(Math.log10(bar.micrometres) + 1e-9);
    assert.ok([1, 2, 5].some((round) => Math.abs(mantissa - round) < 1e-6), `${bar.micrometres}`);
  }
});

test("without a known pixel size there is no bar", () => {
  for (const unknown of [Number.NaN, 0, Number.POSITIVE_INFINITY, -1]) assert.equal(scaleBar(unknown, 160), undefined);
});

test("the objective is the scanner's word, or an estimate from the pixel's size", () => {
  assert.equal(nativeMagnification(20, 0.25), 20);
  assert.equal(nativeMagnification(undefined, 0.499), 20);
  assert.equal(nativeMagnification(undefined, 0.2527), 40);
  assert.equal(nativeMagnification(0, undefined), undefined);
});

test("there is a button for each usual magnification between the whole slide and its own pixels", () => {
  const labels = (native: number | undefined, fit: number): string[] =>
    magnificationSteps(native, fit).map((step) => step.label);
  assert.deepEqual(labels(40, 0.01), ["1×", "5×", "10×", "20×", "40×"]);
  assert.deepEqual(labels(20, 0.3), ["10×", "20×"]);
  assert.deepEqual(labels(32, 0.01), ["1×", "5×", "10×", "20×", "32×"]);
  assert.deepEqual(labels(undefined, 0.1), ["1:4", "1:1"]);
  assert.equal(magnificationSteps(40, 0.01).find((step) => step.label === "10×")?.zoom, 0.25);
});
