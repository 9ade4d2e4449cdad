"""Runs all checks of iiif-validator-ng that apply and says how many passed; its own command never fails.

Usage: iiif_ng.py BASE_URL IDENTIFIER VERSION"""

import importlib.util
import pathlib
import sys

package = pathlib.Path(importlib.util.find_spec("iiif_validator").origin).parent
# Spelt for Python 3.12 and newer; older ones get the spelling that means the same.
source = package / "validate.py"
text = source.read_text()
older = text.replace("class SizedGenerator[T]:", "from typing import Generic, TypeVar\n\nT = TypeVar('T')\n\n\nclass SizedGenerator(Generic[T]):")
if older != text:
    source.write_text(older)

from iiif_validator.tests.test import IIIFVersion, TargetServer, ValidationFailure  # noqa: E402
from iiif_validator.validate import run_tests  # noqa: E402

base, identifier, version = sys.argv[1:]
server = TargetServer(base, validation_id=identifier, version=IIIFVersion(version))
passed, failed = 0, []
for test, results in run_tests(server):
    for result in results if isinstance(results, list) else [results]:
        if isinstance(result, ValidationFailure):
            failed.append(f"{test.name}: {result.details}: {result.received} for {result.expected} at {result.url}")
        else:
            passed += 1
print(f"{passed} of {passed + len(failed)}")
sys.exit("\n".join(failed) if failed or passed == 0 else 0)
