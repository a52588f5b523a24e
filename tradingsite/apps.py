"""The site as an application: it registers the start-up checks and the queue."""

from django.apps import AppConfig


class TradingSiteConfig(AppConfig):
    name = "tradingsite"
    verbose_name = "Site"

    def ready(self) -> None:
        # The queue's app must exist before any task is called; the checks register themselves.
        from tradingsite import celery, checks  # noqa: F401
