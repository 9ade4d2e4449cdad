// The page in a real browser over the real program: opens a slide, looks around, loses a node, goes on.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import type { SlideInfo } from "../../app/api/types.ts";
import { launchBrowser } from "./browser.ts";
import { Demo } from "./demo.ts";
import { Guarded, PASSWORD } from "./guarded.ts";
import { PATIENCE_MS, TileLog, photograph, tilesInView, waitForTissue } from "./looking.ts";

declare global {
  interface Window {
    told: string[];
    spoiled: number;
  }
}

const CANVAS = ".canvas .openseadragon-canvas canvas";
const NAVIGATOR = ".navigator .openseadragon-canvas canvas";

let demo: Demo;
let browser: Browser;
let page: Page;
let tiles: TileLog;
let slide: SlideInfo;
let lost: string | undefined;
const errors: string[] = [];

before(async () => {
  // One after the other: where the first fails, nothing runs yet that would have to be stopped.
  browser = await launchBrowser();
  demo = await Demo.start();
  const holder = demo.material.replicas.find((replica) => replica.state === "verified");
  slide = (await (await fetch(`${holder?.url}/v1/materials/${demo.material.id}/slide`)).json()) as SlideInfo;
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  context.setDefaultTimeout(PATIENCE_MS);
  page = await context.newPage();
  page.on("pageerror", (error) => errors.push(String(error)));
  tiles = new TileLog(page);
});

/** To a place, in parts of the slide's width and height. */
async function goTo(x: number, y: number, zoom: number): Promise<void> {
  const hash = `#x=${Math.round(slide.width * x)}&y=${Math.round(slide.height * y)}&zoom=${zoom}`;
  await page.evaluate((there) => (location.hash = there), hash);
}

after(async () => {
  await browser?.close();
  await demo?.stop();
});

test("the slide is drawn from its native tiles", async () => {
  await page.goto(demo.viewer, { timeout: PATIENCE_MS });
  await waitForTissue(page, CANVAS, 0.05);
  await waitForTissue(page, NAVIGATOR, 0.05);
  assert.ok(tiles.count() > 0);
  assert.deepEqual(tiles.problems, []);
  await page.evaluate(() => Object.assign(window, { loadedOnce: true }));
});

test("what a pathologist looks for stands around it", async () => {
  await page.locator(".scale-bar").waitFor();
  assert.match(await page.locator(".scale-label").innerText(), /^(1|2|5)0* (µm|mm)$/);
  assert.match(await page.locator(".magnification").innerText(), /^[\d.]+×$/);
  await page.locator("[data-image=label] img").waitFor();
  await page.locator(`.list [data-open="${demo.material.id}"][aria-current=page]`).waitFor();
  await page.locator(`.list [data-open="${demo.material.id}"] .thumb img`).waitFor();
  await page.locator(".node .dot.good").nth(2).waitFor();
  assert.equal(await page.locator(".node").count(), 3);
  // Two nodes hold the slide.
  await page.waitForFunction(() => {
    const chips = [...document.querySelectorAll<HTMLElement>(".node .chip")];
    return chips.filter((chip) => chip.checkVisibility()).length === 2;
  });
  await page.locator(".health .dot.good").waitFor();
  await photograph(page, "1-slide");
});

test("zooming in loads the tiles of the largest level", async () => {
  // The middle of the slide is glass between two pieces of tissue: into the left one.
  await goTo(0.25, 0.6, 0.25);
  await page.locator(".magnification", { hasText: /^5(\.0)?×$/ }).waitFor();
  await page.locator(".steps button").last().click();
  await page.waitForFunction(() => /zoom=1(&|$)/.test(location.hash));
  const wanted = await tilesInView(page, slide);
  assert.ok(wanted.length >= 9, `${wanted.length} tiles fill the stage`);
  await tiles.waitFor(page, wanted);
  await waitForTissue(page, CANVAS, 0.05);
  await photograph(page, "2-zoomed");
});

test("when the node that serves the tiles is killed, another one goes on, without a reload", async () => {
  const [served] = [...tiles.tiles.values()].slice(-1);
  assert.ok(served);
  lost = served;
  await collectNotices(page);
  // Until the page has found out by itself no coordinator tells it.
  let foundOut = (): void => {};
  const found = new Promise<void>((resolve) => (foundOut = resolve));
  await page.route(`**/v1/materials/${demo.material.id}`, async (route) => {
    await found;
    await route.continue();
  });
  demo.kill(served);
  tiles.tiles.clear();
  await goTo(0.42, 0.55, 1);
  await page.waitForFunction(() => window.told.some((text) => text.includes("does not answer")));
  foundOut();
  const wanted = await tilesInView(page, slide);
  await tiles.waitFor(page, wanted);
  assert.equal(tiles.count(lost), 0, "nothing comes from a dead node");
  await waitForTissue(page, CANVAS, 0.02);
  await photograph(page, "3-node-lost");
  assert.equal(await page.evaluate(() => "loadedOnce" in window), true, "the page was not loaded again");
});

test("the nodes' panel shows the loss, and the copies come back", async () => {
  await page.locator(".node .dot:is(.warn, .bad)").waitFor();
  await demo.copiesAreBack(lost ?? "");
  const card = page.locator(`.list [data-open="${demo.material.id}"] .chip.good`);
  await card.filter({ hasText: "Ready" }).waitFor();
});

test("a tissue analysis is started from the page and shows what it found", async () => {
  const before = await page.locator(".run").count();
  await page.keyboard.press("0");
  await startRun(before);
  await page.waitForFunction((count) => document.querySelectorAll(".run[data-state=done]").length > count, before);
  assert.match(await page.locator(".run-figure").first().innerText(), /^\d+\.\d % tissue · [\d.]+ [mc]m²$/);
  await waitForMask(page, true);
  await photograph(page, "4-tissue");
  await page.keyboard.press("m");
  await waitForMask(page, false);
});

test("a link to a view opens that view", async () => {
  const other = await page.context().newPage();
  const address = `${demo.viewer}#x=3000&y=2000&zoom=0.5&rotation=90`;
  await other.goto(address, { timeout: PATIENCE_MS });
  await waitForTissue(other, CANVAS, 0.001);
  assert.equal(new URL(other.url()).hash, new URL(address).hash);
  await other.close();
});

test("tiles that nobody gives and pictures that cannot be drawn are asked for again while the view rests", async () => {
  const other = await page.context().newPage();
  await other.addInitScript(() => {
    // Where memory is short, a picture that has come cannot be made ready.
    const { drawImage } = CanvasRenderingContext2D.prototype as { drawImage: (...args: unknown[]) => void };
    window.spoiled = 0;
    CanvasRenderingContext2D.prototype.drawImage = function spoil(...args: unknown[]): void {
      if (window.spoiled < 6 && args[0] instanceof HTMLImageElement && !this.canvas.isConnected) {
        window.spoiled += 1;
        throw new DOMException("no memory for a picture", "InvalidStateError");
      }
      drawImage.apply(this, args);
    };
  });
  // The page and its navigator ask two nodes each: from the fifth time on, somebody asks again.
  const refused = new Map<string, number>();
  let again = (): void => {};
  const askedAgain = new Promise<void>((resolve) => (again = resolve));
  await other.route(/\/tiles\//, async (route) => {
    const path = new URL(route.request().url()).pathname;
    const count = (refused.get(path) ?? 0) + 1;
    refused.set(path, count);
    if (count <= 8) return route.abort("connectionrefused");
    again();
    return route.continue();
  });
  await other.goto(demo.viewer, { timeout: PATIENCE_MS });
  await within(askedAgain, "no tile was asked for again");
  await waitForTissue(other, CANVAS, 0.05);
  await waitForTissue(other, NAVIGATOR, 0.05);
  assert.equal(await other.evaluate(() => window.spoiled), 6);
  await other.close();
});

test("a file that is no slide is shown as what it is, with its way out", async () => {
  const id = await demo.store("letter.txt", "Dear colleague, this is a letter.\n");
  await page.locator(`.list [data-open="${id}"]`).click();
  const card = page.locator(".problem[data-code=not_a_slide]");
  await card.waitFor();
  const text = await card.innerText();
  for (const part of ["letter.txt", "34 B", "text/plain"]) assert.ok(text.includes(part), text);
  const link = await card.locator("a.primary").getAttribute("href");
  assert.equal(await (await fetch(link ?? "")).text(), "Dear colleague, this is a letter.\n");
  await photograph(page, "5-not-a-slide");
});

test("the light box shows all slides, in the dark too", async () => {
  await page.emulateMedia({ colorScheme: "dark" });
  await page.locator(".brand").click();
  await page.locator(`.gallery [data-open="${demo.material.id}"] .thumb img`).waitFor();
  await photograph(page, "6-gallery-dark");
  await page.goBack();
  await page.goBack();
  await waitForTissue(page, CANVAS, 0.02);
  await photograph(page, "7-slide-dark");
});

test("where tokens are checked, the page's own stands in no address", async () => {
  const guarded = new Guarded();
  try {
    const file = await fetch(`${demo.server}/v1/materials/${demo.material.id}/file`);
    await guarded.start(new Uint8Array(await file.arrayBuffer()));
    const other = await page.context().newPage();
    other.on("pageerror", (error) => errors.push(String(error)));
    const carried = new Set<string>();
    other.on("request", (request) => {
      const { origin, searchParams } = new URL(request.url());
      if (origin === guarded.node) carried.add(searchParams.get("token") ?? "none");
    });
    const drawn = new TileLog(other);
    await other.goto(`${guarded.server}/view/${guarded.material}?token=${guarded.token}`, { timeout: PATIENCE_MS });
    await waitForTissue(other, CANVAS, 0.05);
    await other.locator(`.list [data-open="${guarded.material}"] .thumb img`).waitFor();
    assert.ok(drawn.count() > 0);
    assert.deepEqual(drawn.problems, []);
    assert.equal(carried.size, 1, "one token for all of a material");
    assert.ok(!carried.has(guarded.token) && !carried.has("none"));
    assert.ok(!other.url().includes("token"));
    const link = new URL((await other.locator("a.button", { hasText: "Original file" }).getAttribute("href")) ?? "");
    assert.ok(carried.has(link.searchParams.get("token") ?? ""));
    assert.equal((await fetch(link, { method: "HEAD" })).status, 200);
    await other.close();
    await logsInAndOut(guarded);
  } finally {
    await guarded.stop();
  }
});

/** Whoever comes without a token is asked for name and password; the login outlives a reload, and ends. */
async function logsInAndOut(guarded: Guarded): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  context.setDefaultTimeout(PATIENCE_MS);
  const visitor = await context.newPage();
  visitor.on("pageerror", (error) => errors.push(String(error)));
  await visitor.goto(`${guarded.server}/view/${guarded.material}`, { timeout: PATIENCE_MS });
  const enter = async (password: string): Promise<void> => {
    await visitor.locator("input[name=name]").fill("admin");
    await visitor.locator("input[name=password]").fill(password);
    await visitor.locator(".login button").click();
  };
  await enter("not this one");
  await visitor.locator(".refused").filter({ hasText: "Name or password is wrong" }).waitFor();
  await photograph(visitor, "8-login");
  await enter(PASSWORD);
  await visitor.locator(".own-name").filter({ hasText: "admin" }).waitFor();
  await waitForTissue(visitor, CANVAS, 0.05);
  // An access token that is about to end is changed for the next one before anything is asked.
  await visitor.evaluate(() => {
    const login = JSON.parse(sessionStorage.getItem("microtome.login") ?? "{}") as Record<string, unknown>;
    sessionStorage.setItem("microtome.login", JSON.stringify({ ...login, endsAtMs: Date.now() }));
  });
  const before = await visitor.evaluate(() => sessionStorage.getItem("microtome.token"));
  await visitor.reload({ timeout: PATIENCE_MS });
  await visitor.locator(".own-name").waitFor();
  await visitor.waitForFunction((old) => sessionStorage.getItem("microtome.token") !== old, before);
  await waitForTissue(visitor, CANVAS, 0.05);
  await visitor.locator(".own button").click();
  await visitor.locator(".login").waitFor();
  assert.equal(await visitor.evaluate(() => sessionStorage.length), 0);
  await context.close();
}

test("no script failed on the way", () => {
  assert.deepEqual(errors, []);
});

/** Clicks, and clicks again where nothing came of it: a leader may be elected just then, and the page says so. */
async function startRun(before: number): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    await page.locator("[data-run=tissue]").click();
    const begins = page.waitForFunction((count) => document.querySelectorAll(".run").length > count, before, {
      timeout: PATIENCE_MS / 5,
    });
    if (await begins.then(() => true, () => false)) return;
  }
  throw new Error("no click starts a run");
}

/** What comes in the time that a busy machine may take. */
async function within<T>(promise: Promise<T>, otherwise: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(otherwise)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Keeps what notices say: they go away by themselves, maybe before anybody has looked. */
async function collectNotices(on: Page): Promise<void> {
  await on.evaluate(() => {
    window.told = [];
    new MutationObserver(() => {
      for (const notice of document.querySelectorAll(".notice.warn")) window.told.push(notice.textContent ?? "");
    }).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
}

async function waitForMask(on: Page, shown: boolean): Promise<void> {
  await on.waitForFunction((wanted) => {
    const canvas = document.querySelector<HTMLCanvasElement>(".mask-layer");
    if (!canvas || canvas.width < 2) return false;
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    const covered = data.some((value, index) => index % 4 === 3 && value > 0);
    return covered === wanted;
  }, shown, { polling: 250 });
}
