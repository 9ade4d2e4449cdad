// A headless browser: the one that CHROMIUM_PATH names, the one from npm, or the system's.

import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import npmChromium from "@sparticuz/chromium";
import { type Browser, chromium } from "playwright-core";

const ROOT = join(import.meta.dirname, "..", "..", "..", "..", "..");
const CACHE = join(ROOT, "node_modules", ".cache", "microtome");
const SYSTEM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

// The package's own arguments are for other machines; they also switch off what keeps origins apart, and whether
// tiles may be read across origins is among the things to be tried. Software WebGL is slow: the canvas drawer is used.
const ARGUMENTS = ["--no-sandbox", "--disable-webgl", "--disable-gpu", "--in-process-gpu", "--font-render-hinting=none"];

export async function launchBrowser(): Promise<Browser> {
  const reasons: string[] = [];
  for (const find of [named, unpacked, installed]) {
    try {
      const executablePath = await find();
      if (executablePath) return await chromium.launch({ executablePath, args: ARGUMENTS, timeout: 120_000 });
    } catch (error) {
      reasons.push(String(error).split("\n").slice(0, 3).join(" "));
    }
  }
  const why = reasons.join("; ") || "none was found";
  throw new Error(`no browser could be started (${why}): install Debian's chromium, or set CHROMIUM_PATH`);
}

async function named(): Promise<string | undefined> {
  return process.env["CHROMIUM_PATH"];
}

async function installed(): Promise<string | undefined> {
  return SYSTEM.find((path) => existsSync(path));
}

/** Unpacked once, beside its final place and then renamed: a run that is broken off leaves no half browser. */
async function unpacked(): Promise<string | undefined> {
  const home = join(CACHE, "browser");
  const program = join(home, "chromium");
  if (existsSync(program)) return program;
  mkdirSync(CACHE, { recursive: true });
  const half = mkdtempSync(join(CACHE, "browser-"));
  const before = process.env["TMPDIR"];
  process.env["TMPDIR"] = half; // The package unpacks into the folder for temporary files.
  try {
    await npmChromium.executablePath();
    rmSync(home, { recursive: true, force: true });
    renameSync(half, home);
  } finally {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
    rmSync(half, { recursive: true, force: true });
  }
  return program;
}
