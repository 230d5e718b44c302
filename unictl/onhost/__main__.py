"""``python -m unictl.onhost [ROOT]``: one conversation without the bootstrap, for debugging."""

import sys

from . import dispatcher

dispatcher.main(sys.argv[1] if len(sys.argv) > 1 else "")
