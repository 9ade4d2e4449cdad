"""tuspy as it comes from PyPI. Arguments: where it remembers its uploads, where to create them, the file, and how to send it:
"whole" in one request, "pieces" of 8 MiB, "sums" with a checksum each, "break" off at 40 %, "resume". Prints the upload's
address last."""

import os
import sys

from tusclient.client import TusClient
from tusclient.storage.filestorage import FileStorage

memory, endpoint, file, way = sys.argv[1:]
size = os.path.getsize(file)
uploader = TusClient(endpoint).uploader(
    file,
    chunk_size=size if way == "whole" else 8 << 20,
    upload_checksum=way == "sums",
    metadata={"filename": "Präparat 7.svs", "filetype": "image/tiff"},
    store_url=way in ("break", "resume"),
    url_storage=FileStorage(memory),
    retries=5,
    retry_delay=1,
)
uploader.upload(stop_at=int(0.4 * size) if way == "break" else None)
print(uploader.url)
