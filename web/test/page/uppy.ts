// Serves a page with Uppy from an origin of its own.

import { readFileSync } from "node:fs";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "vite";

const WEB = join(import.meta.dirname, "..", "..", "..", "..", "..");
const BUILT = join(WEB, "node_modules", ".cache", "microtome", "uppy");

export class UppyPage {
  private constructor(private readonly server: Server) {}

  static async start(): Promise<UppyPage> {
    const entry = join(WEB, "test", "page", "uppy_page.ts");
    await build({
      configFile: false,
      logLevel: "warn",
      build: { outDir: BUILT, emptyOutDir: true, lib: { entry, formats: ["es"], fileName: () => "page.js" } },
      define: { "process.env.NODE_ENV": '"production"' },
    });
    const script = readFileSync(join(BUILT, "page.js"));
    const server = createServer((request, response) => {
      const isScript = request.url === "/page.js";
      response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html; charset=utf-8");
      response.end(isScript ? script : '<!doctype html><body><script type="module" src="/page.js"></script>');
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new UppyPage(server);
  }

  address(endpoint: string): string {
    const { port } = this.server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/?endpoint=${encodeURIComponent(endpoint)}`;
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}
