"""What gunicorn and the `flask` command load: `gunicorn wsgi:app`, `flask --app wsgi`."""

from __future__ import annotations

import gc
import os
import sys

# What is imported stays. Searching it for garbage again and again takes a seventh of the start.
gc.disable()

from app import create_app  # noqa: E402 -- see above
from app.cli import needs_pages  # noqa: E402
from app.output import say  # noqa: E402
from app.web.current import current_store  # noqa: E402
from config import ConfigError, load_env_file  # noqa: E402

load_env_file()
# A command opens the store when it needs it, so that help and mistakes in its usage make no files.
# What serves or runs somebody's own code opens it at once.
_is_command = os.environ.get("FLASK_RUN_FROM_CLI") == "true"
_serves = bool({"run", "shell"} & set(sys.argv)) and "--help" not in sys.argv
try:
    app = create_app(opens_store=False, has_pages=not _is_command or needs_pages(sys.argv))
except ConfigError as error:
    say(*str(error).split("\n"), err=True)
    raise SystemExit(2) from None
# Later searches skip what is there now. The store is not open yet: a connection that is garbage now
# would stay open for ever.
gc.freeze()
gc.enable()
if _serves or not _is_command:
    with app.app_context():
        current_store()
