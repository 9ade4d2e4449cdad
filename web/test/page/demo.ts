// The real program: three coordinators and three nodes as processes of their own, with a slide on two of them.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Material } from "../../app/api/types.ts";

const TARGET = join(import.meta.dirname, "..", "..", "..", "..", "..", "..", "target");

/** What `microtome demo --json` prints once the slide can be looked at. */
interface Announcement {
  viewer: string;
  server: string;
  material: Material;
}

export class Demo {
  private constructor(
    readonly viewer: string,
    readonly server: string,
    readonly material: Material,
    private readonly program: ChildProcess,
    private readonly folder: string,
  ) {}

  static async start(): Promise<Demo> {
    const folder = mkdtempSync(join(tmpdir(), "microtome-page-"));
    const program = spawn(binary(), ["demo", "--json", "--data", folder], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const { viewer, server, material } = await announcement(program);
      return new Demo(viewer, server, material, program, folder);
    } catch (error) {
      program.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Kills the server at this base URL as a power cut would; what starts it again. */
  kill(url: string): () => ChildProcess {
    const address = new URL(url).host;
    const processes = execFileSync("ps", ["-ww", "-e", "-o", "pid=,ppid=,args="], { encoding: "utf8" });
    for (const line of processes.split("\n")) {
      const [pid, parent, ...words] = line.trim().split(/\s+/);
      if (Number(parent) !== this.program.pid || !words.includes(address)) continue;
      const of = (what: string): string[] => readFileSync(`/proc/${pid}/${what}`, "utf8").split("\0").filter(Boolean);
      const [program, ...args] = of("cmdline");
      const env = Object.fromEntries(of("environ").map((pair) => [pair.split("=", 1)[0], pair.slice(pair.indexOf("=") + 1)]));
      process.kill(Number(pid), "SIGKILL");
      // It was to end with the demo, whose child the next one is not.
      const alone = args.filter((word, at) => ![word, args[at - 1]].includes("--exit-with-parent"));
      return () => spawn(program ?? "", alone, { env, stdio: "ignore" });
    }
    throw new Error(`no process of the demo listens on ${address}`);
  }

  /** Stores a file that is no slide, and tells its material's id. */
  async store(name: string, content: string): Promise<string> {
    const bytes = new TextEncoder().encode(content);
    const created = await patient(() => fetch(`${this.server}/v1/materials`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": name },
      body: JSON.stringify({ name, size: bytes.length, media_type: "text/plain" }),
    }));
    if (!created.ok) throw new Error(`${name} is refused: ${await created.text()}`);
    const material = (await created.json()) as Material & { upload_url: string };
    const sent = await fetch(new URL(material.upload_url, this.server), {
      method: "PATCH",
      headers: { "Content-Type": "application/offset+octet-stream", "Tus-Resumable": "1.0.0", "Upload-Offset": "0" },
      body: bytes,
    });
    if (sent.status !== 204) throw new Error(`${name} is not taken: ${sent.status} ${await sent.text()}`);
    return material.id;
  }

  /** Waits until two verified copies live, none of them at this base URL. */
  async copiesAreBack(lost: string): Promise<void> {
    for (;;) {
      const asked = await patient(() => fetch(`${this.server}/v1/materials/${this.material.id}`));
      const { replicas } = (await asked.json()) as Material;
      const live = replicas.filter((replica) => replica.live && replica.state === "verified" && replica.url !== lost);
      if (live.length >= 2) return;
      await sleep(250);
    }
  }

  async stop(): Promise<void> {
    const { program } = this;
    if (program.exitCode === null && program.signalCode === null) {
      const ended = new Promise((resolve) => program.once("exit", resolve));
      program.kill("SIGTERM");
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Where a server says to come again, it does. */
async function patient(ask: () => Promise<Response>): Promise<Response> {
  for (;;) {
    const answer = await ask();
    if (answer.status !== 503) return answer;
    await sleep(250);
  }
}

export function binary(): string {
  const candidates = [process.env["MICROTOME_BIN"], join(TARGET, "debug", "microtome"), join(TARGET, "release", "microtome")];
  const found = candidates.find((path) => path !== undefined && existsSync(path));
  if (!found) throw new Error("the program is not built: run 'cargo build' first, or set MICROTOME_BIN");
  return found;
}

/** The first JSON document on standard output, on one line or several. */
async function announcement(program: ChildProcess): Promise<Announcement> {
  if (!program.stdout) throw new Error("the demo has no output");
  let text = "";
  for await (const line of createInterface({ input: program.stdout })) {
    text += `${line}\n`;
    try {
      const { viewer, server, material } = JSON.parse(text) as Announcement;
      return { viewer, server, material };
    } catch {
      continue; // Not whole yet.
    }
  }
  throw new Error(`the demo ended before it showed a slide; it said: ${text || "nothing"}`);
}
