// tus-js-client as it comes from npm. Arguments: where it remembers its uploads, where to create them, the file, and how to
// send it: "whole" in one request, "pieces" of 8 MiB, "at-once" with the creation, "stream" without telling its length before the
// end, "parallel" in three parts at once; "break" and "break-parallel" off at 40 %, "resume" and "resume-parallel". Prints the
// upload's address last.

import { createReadStream, statSync } from "node:fs";
import { PassThrough } from "node:stream";
import { FileUrlStorage, Upload } from "tus-js-client";

const [memory, endpoint, file, way] = process.argv.slice(2);
const size = statSync(file).size;
const parallel = way.endsWith("parallel");

function end(error) {
  if (error) console.error(error.message);
  else console.log(upload.url);
  process.exitCode = error ? 1 : 0;
}

// A stream that does not know that it is a file's.
const source = way === "stream" ? createReadStream(file).pipe(new PassThrough()) : createReadStream(file);
const upload = new Upload(source, {
  endpoint,
  // Of a file in parts the client wants to find out the length itself.
  ...(parallel ? { parallelUploads: 3 } : way === "stream" ? { uploadLengthDeferred: true } : { uploadSize: size }),
  metadata: { filename: "Präparat 7.svs", filetype: "image/tiff" },
  chunkSize: ["pieces", "stream"].includes(way) ? 8 << 20 : Infinity,
  uploadDataDuringCreation: way === "at-once",
  urlStorage: new FileUrlStorage(memory),
  removeFingerprintOnSuccess: true,
  retryDelays: [0, 200, 500, 1000, 2000, 3000],
  onProgress(sent) {
    // As when the process is killed: nothing is ended properly.
    if (!way.startsWith("break") || sent < 0.4 * size) return;
    end();
    process.exit();
  },
  onSuccess: () => end(),
  onError: end,
});
const former = await upload.findPreviousUploads();
if (way.startsWith("resume")) upload.resumeFromPreviousUpload(former[0]);
upload.start();
