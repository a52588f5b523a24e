"""The web process: pages, API and admin on uvicorn."""

import os
import warnings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingsite.settings")
os.environ.setdefault("DESK_PROCESS", "web")

from django.core.asgi import get_asgi_application

from tradingsite import checks

# Static files are sent by a plain iterator; Django says so once for each process.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

application = get_asgi_application()  # sets Django up: the checks need it
checks.stop_unless_sound()

from monitoring import heartbeats  # noqa: E402  (its rows need Django to be set up)

heartbeats.start("web")
