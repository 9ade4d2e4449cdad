// Files go from a real browser into the real program: dropped, paused, taken up after the page was loaded anew.

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { createCipheriv } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Browser, CDPSession, Page, Request } from "playwright-core";
import type { Material } from "../../app/api/types.ts";
import { launchBrowser } from "./browser.ts";
import { Demo } from "./demo.ts";
import { PATIENCE_MS, photograph, waitForTissue } from "./looking.ts";
import { UppyPage } from "./uppy.ts";

const CANVAS = ".canvas .openseadragon-canvas canvas";
/** Slow enough that what is done meanwhile meets the upload in its middle. */
const SLOW_BYTES_PER_S = 1_500_000;
/** Longer than what a node makes durable at a time, and the hash of what is made of it. */
const LONG_LEN = 200_000_000;
const LONG_BLAKE3 = "f070720013f02716854577cdb08983879e4fab5692a3401d5258ba9573afd5fd";
const LONG_BYTES_PER_S = 40_000_000;

let demo: Demo;
let browser: Browser;
let page: Page;
let network: CDPSession;
let folder: string;
let file: string;
/** What is chosen where the page asks for files. */
let chosen: string[] = [];
const errors: string[] = [];

before(async () => {
  browser = await launchBrowser();
  demo = await Demo.start();
  folder = mkdtempSync(join(tmpdir(), "microtome-files-"));
  file = join(folder, "Präparat 2.svs");
  const holder = demo.material.replicas.find((replica) => replica.state === "verified");
  const original = await fetch(`${holder?.url}/v1/materials/${demo.material.id}/file`);
  writeFileSync(file, new Uint8Array(await original.arrayBuffer()));
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  context.setDefaultTimeout(PATIENCE_MS);
  page = await context.newPage();
  page.on("pageerror", (error) => errors.push(String(error)));
  // From the beginning: asked for only just before, the browser may not know yet that nobody is there to choose.
  page.on("filechooser", (chooser) => void chooser.setFiles(chosen));
  page.on("dialog", (dialog) => void dialog.accept());
  network = await context.newCDPSession(page);
  await page.goto(demo.server, { timeout: PATIENCE_MS });
});

after(async () => {
  await browser?.close();
  await demo?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** How fast the browser may send. */
async function send(bytesPerS: number): Promise<void> {
  const unlimited = { offline: false, latency: 0, downloadThroughput: -1 };
  await network.send("Network.emulateNetworkConditions", { ...unlimited, uploadThroughput: bytesPerS });
}

/** Drags a file over the page and lets it go. */
async function drop(on: Page, path: string, between = async (): Promise<void> => {}): Promise<void> {
  await on.evaluate(() => {
    const input = Object.assign(document.createElement("input"), { type: "file", id: "dragged", hidden: true });
    document.body.append(input);
  });
  await on.setInputFiles("#dragged", path);
  const drag = (...types: string[]): Promise<void> => on.evaluate((kinds) => {
    const [dragged] = document.querySelector<HTMLInputElement>("#dragged")?.files ?? [];
    const dataTransfer = new DataTransfer();
    if (dragged) dataTransfer.items.add(dragged);
    for (const kind of kinds) {
      document.body.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
    }
  }, types);
  await drag("dragenter", "dragover");
  await between();
  await drag("drop");
  await on.evaluate(() => document.querySelector("#dragged")?.remove());
}

const row = (name: string, state: string): string => `[data-upload="${name}"][data-state=${state}]`;

async function material(id: string): Promise<Material | undefined> {
  const answer = await fetch(`${demo.server}/v1/materials/${id}`);
  return answer.ok ? ((await answer.json()) as Material) : undefined;
}

/** Requests with bytes of a file, from now on. */
function patches(on: Page): Request[] {
  const seen: Request[] = [];
  on.on("request", (request) => request.method() === "PATCH" && seen.push(request));
  return seen;
}

test("a file that is dropped is sent, and can be paused", async () => {
  await send(SLOW_BYTES_PER_S);
  await drop(page, file, async () => {
    await page.locator(".drop").waitFor();
    await photograph(page, "8-drop");
  });
  await page.locator(row("Präparat 2.svs", "sending")).filter({ hasText: /MB\/s · .* left/ }).waitFor();
  await page.waitForURL(/\/view\//);
  await photograph(page, "9-uploading");
  await page.locator(row("Präparat 2.svs", "sending")).getByTitle("Pause").click();
  await page.locator(row("Präparat 2.svs", "paused")).filter({ hasText: /paused at \d+ %/ }).waitFor();
});

test("loaded anew the page knows it, and sends only what is missing of the same file; it opens by itself", async () => {
  const begun = new URL(page.url()).pathname;
  await page.reload({ timeout: PATIENCE_MS });
  await page.locator(row("Präparat 2.svs", "interrupted")).waitFor();
  await send(-1);
  const sent = patches(page);
  await drop(page, file);
  await waitForTissue(page, CANVAS, 0.02);
  assert.equal(new URL(page.url()).pathname, begun);
  const offsets = sent.map((request) => Number(request.headers()["upload-offset"]));
  assert.ok(offsets.length > 0 && offsets.every((offset) => offset > 0), `sent from ${offsets.join(", ")}`);
  assert.equal(await page.locator(".upload-row").count(), 0);
  const arrived = await material(begun.split("/").at(-1) ?? "");
  assert.equal(arrived?.name, "Präparat 2.svs");
  assert.equal(arrived?.blake3, demo.material.blake3);
  await photograph(page, "10-uploaded");
});

test("an upload that is discarded is gone in the cluster, too", async () => {
  await send(SLOW_BYTES_PER_S);
  const other = join(folder, "other.bin");
  writeFileSync(other, new Uint8Array(30_000_000));
  const begun = patches(page);
  await drop(page, other);
  await page.locator(row("other.bin", "sending")).filter({ hasText: "left" }).waitFor();
  const id = new URL(begun[0]?.url() ?? "").pathname.split("/").at(-1) ?? "";
  assert.equal((await material(id))?.state, "receiving");
  const freed = page.waitForResponse((answer) => answer.request().method() === "DELETE" && answer.status() === 204);
  await page.locator(row("other.bin", "sending")).getByTitle("Discard").click();
  await freed;
  await page.locator(".upload-row").waitFor({ state: "detached" });
  assert.ok([undefined, "deleting"].includes((await material(id))?.state));
  await send(-1);
});

test("several files go one after the other, and nobody is taken away from what he looks at", async () => {
  const files = ["a.txt", "b.txt"].map((name) => join(folder, name));
  for (const path of files) writeFileSync(path, path);
  await page.locator(".brand").click();
  await page.locator(`.gallery [data-open="${demo.material.id}"]`).click();
  await waitForTissue(page, CANVAS, 0.02);
  const looked = new URL(page.url()).pathname;
  chosen = files;
  await page.keyboard.press("u");
  for (const name of ["a.txt", "b.txt"]) {
    await page.locator(".list .card", { hasText: name }).locator(".chip:is(.good, .busy, .warn)").waitFor();
  }
  await page.locator(".upload-row").first().waitFor({ state: "detached" });
  assert.equal(new URL(page.url()).pathname, looked);
});

test("Uppy on a page of another origin sends a file, is broken off and goes on", async () => {
  const uppy = await UppyPage.start();
  const other = await page.context().newPage();
  const slow = await page.context().newCDPSession(other);
  const throughput = (uploadThroughput: number): Promise<unknown> =>
    slow.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput });
  try {
    const address = uppy.address(`${demo.server}/v1/uploads`);
    await other.goto(address);
    await throughput(SLOW_BYTES_PER_S);
    await other.setInputFiles("input", file);
    await other.waitForFunction(() => Number(document.body.dataset["percent"]) >= 40);
    await other.goto("about:blank");
    await other.goto(address);
    await throughput(-1);
    const sent = patches(other);
    await other.setInputFiles("input", file);
    const end = await other.waitForFunction(() => document.body.dataset["end"]);
    const told = (await end.jsonValue()) ?? "";
    assert.match(told, /^done /);
    assert.ok(sent.every((request) => Number(request.headers()["upload-offset"]) > 0) && sent.length > 0);
    const arrived = await material(new URL(told.slice(5)).pathname.split("/").at(-1) ?? "");
    assert.equal(arrived?.blake3, demo.material.blake3);
  } finally {
    await other.close();
    uppy.stop();
  }
});

test("Uppy goes on by itself when the node dies under it and comes back", async () => {
  const uppy = await UppyPage.start();
  const other = await page.context().newPage();
  const slow = await page.context().newCDPSession(other);
  const limits = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: LONG_BYTES_PER_S };
  const long = join(folder, "long.bin");
  writeFileSync(long, createCipheriv("aes-256-ctr", Buffer.alloc(32), Buffer.alloc(16)).update(Buffer.alloc(LONG_LEN)));
  let restarted: ChildProcess | undefined;
  try {
    await other.goto(uppy.address(`${demo.server}/v1/uploads`));
    await slow.send("Network.emulateNetworkConditions", limits);
    const sent = patches(other);
    await other.setInputFiles("input", long);
    await other.waitForFunction(() => Number(document.body.dataset["percent"]) >= 60);
    const node = new URL(sent[0]?.url() ?? "").origin;
    restarted = demo.kill(node)();
    await slow.send("Network.emulateNetworkConditions", { ...limits, uploadThroughput: -1 });
    const end = await other.waitForFunction(() => document.body.dataset["end"]);
    const told = (await end.jsonValue()) ?? "";
    assert.match(told, /^done /);
    assert.ok(sent.length > 1 && Number(sent.at(-1)?.headers()["upload-offset"]) > 0, "it went on where it stood");
    const arrived = await material(new URL(told.slice(5)).pathname.split("/").at(-1) ?? "");
    assert.equal(arrived?.blake3, LONG_BLAKE3);
  } finally {
    await other.close();
    uppy.stop();
    restarted?.kill("SIGTERM");
  }
});

test("no script failed on the way", () => {
  assert.deepEqual(errors, []);
});
