// A coordinator and a node that check tokens, with one slide.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { binary } from "./demo.ts";
import { PATIENCE_MS } from "./looking.ts";

const ENVIRONMENT = { ...process.env, MICROTOME_AUTH_SECRET: "a secret for the page's tests" };
/** Of the first user, `admin`. */
export const PASSWORD = "correct horse battery";

export class Guarded {
  private readonly folder = mkdtempSync(join(tmpdir(), "microtome-guarded-"));
  private readonly servers: ChildProcess[] = [];
  /** An administrator's. */
  readonly token = this.run("token");
  server = "";
  node = "";
  material = "";

  async start(slide: Uint8Array): Promise<void> {
    writeFileSync(join(this.folder, "password"), PASSWORD);
    this.server = await this.serve("coordinator");
    this.node = await this.serve("node", "--coordinator", this.server);
    const file = join(this.folder, "slide.svs");
    writeFileSync(file, slide);
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        const asked = ["--server", this.server, "--token", this.token, "--json"];
        const put = JSON.parse(this.run("put", file, "--population", "1", ...asked)) as { id: string };
        this.material = put.id;
        return;
      } catch (refused) {
        if (Date.now() > end) throw refused; // The node has not joined yet.
        await sleep(250);
      }
    }
  }

  async stop(): Promise<void> {
    for (const server of this.servers) {
      const ended = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGTERM");
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  private run(...words: string[]): string {
    const env = { ...ENVIRONMENT, XDG_STATE_HOME: this.folder, XDG_CONFIG_HOME: this.folder };
    return execFileSync(binary(), words, { encoding: "utf8", env, stdio: ["ignore", "pipe", "pipe"] }).trim();
  }

  /** Starts a server, and tells its address once it listens. */
  private async serve(...words: string[]): Promise<string> {
    const url = `127.0.0.1:${await freePort()}`;
    const place = ["--json", "--listen", url, "--data-dir", join(this.folder, words[0] ?? "")];
    const env = { ...ENVIRONMENT, MICROTOME_AUTH_FIRST_PASSWORD_FILE: join(this.folder, "password") };
    const server = spawn(binary(), [...words, ...place], { env, stdio: ["ignore", "pipe", "ignore"] });
    this.servers.push(server);
    for await (const line of createInterface({ input: server.stdout })) return (JSON.parse(line) as { url: string }).url;
    throw new Error(`${words.join(" ")} ended before it listened`);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const held = createServer().listen(0, "127.0.0.1", () => {
      const { port } = held.address() as AddressInfo;
      held.close(() => resolve(port));
    });
  });
}
