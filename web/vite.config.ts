import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Puts a compressed copy beside every text file: the program serves it to browsers that take it. */
function compressed(): Plugin {
  return {
    name: "microtome-compressed",
    apply: "build",
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        for (const output of Object.values(bundle)) {
          const text = output.type === "chunk" ? output.code : output.source;
          if (!/\.(js|css|html|svg)$/.test(output.fileName)) continue;
          this.emitFile({ type: "asset", fileName: `${output.fileName}.gz`, source: gzipSync(text, { level: 9 }) });
        }
      },
    },
  };
}

export default defineConfig({
  build: { target: "es2022", modulePreload: { polyfill: false }, chunkSizeWarningLimit: 700 },
  plugins: [compressed()],
  // `npm run dev` shows the page of the working tree over a running cluster.
  server: { proxy: { "/v1": process.env["MICROTOME_SERVER"] ?? "http://127.0.0.1:7400" } },
});
