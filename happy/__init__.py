"""Happy Server: relays end-to-end encrypted coding sessions between a person's devices."""

import os
import sys

__version__ = "0.1.0"

# In a wheel `schema` is in here, not in site-packages, where other packages have that name: decision 30.
# A string, because pathlib takes longer to import than `version` takes to run.
_PACKAGES = os.path.join(os.path.dirname(__file__), "_packages")  # noqa: PTH118, PTH120
if os.path.isdir(_PACKAGES) and _PACKAGES not in sys.path:  # noqa: PTH112
    sys.path.insert(0, _PACKAGES)
