#!/usr/bin/env python3
"""Run the desk and its commands; a wrong setting is answered with one sentence."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingsite.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from tradingsite import environment

    try:
        if sys.argv[1:2] == ["desk"]:
            # The keys must exist before Django reads the settings.
            environment.create_file_if_missing()
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Paperdesk cannot start: {error}")


if __name__ == "__main__":
    main()
