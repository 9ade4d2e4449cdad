// A page of somebody else, with Uppy as it comes from npm: sends the file that is chosen in it to `?endpoint=…`.

import Uppy from "@uppy/core";
import Tus from "@uppy/tus";

const endpoint = new URL(location.href).searchParams.get("endpoint") ?? "";
const uppy = new Uppy({ autoProceed: true }).use(Tus, { endpoint, retryDelays: [0, 500, 1000, 2000, 4000] });
const input = document.createElement("input");
input.type = "file";
input.addEventListener("change", () => {
  for (const file of input.files ?? []) uppy.addFile({ name: file.name, type: file.type, data: file });
});
document.body.append(input);
const { dataset } = document.body;
uppy.on("progress", (percent) => (dataset["percent"] = String(percent)));
uppy.on("complete", ({ successful, failed }) => {
  dataset["end"] = successful?.[0] ? `done ${successful[0].uploadURL}` : `failed ${failed?.[0]?.error}`;
});
