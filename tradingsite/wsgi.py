"""Pages and API on threads, for a WSGI server behind a proxy."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingsite.settings")
os.environ.setdefault("DESK_PROCESS", "web")

from django.core.wsgi import get_wsgi_application

from tradingsite import checks

application = get_wsgi_application()  # sets Django up: the checks need it
checks.stop_unless_sound()
