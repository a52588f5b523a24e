"""The site: settings, addresses, schedule and the command that runs the whole desk."""
