"""``python -m unictl.onhost [ROOT]``: one conversation without the bootstrap, for looking at it by hand."""

import sys

from . import serve

serve.main(sys.argv[1] if len(sys.argv) > 1 else "")
