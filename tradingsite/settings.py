"""Every setting once, read from the environment and .env; a wrong one fails at start in a sentence."""

import os
import sys
from datetime import timedelta

from tradingsite import databases, environment

BASE_DIR = environment.ROOT

# Tests neither read this machine's .env nor need keys of their own; what their environment sets still counts.
UNDER_TEST = "pytest" in sys.modules
if UNDER_TEST:
    for _name, _value in {
        "DESK_ENV_FILE": "",
        "SECRET_KEY": "for-tests-only-" * 4,
        "FIELD_ENCRYPTION_KEYS": "1:" + "dGVz" * 10 + "dGU=",
        "ANCHOR_KEY": "YW5j" * 10 + "aG8=",
        "DESK_ID": "0123456789abcdef" * 2,
    }.items():
        os.environ.setdefault(_name, _value)
environment.read_file()

# Who this desk is ---------------------------------------------------------------------------------

SECRET_KEY = environment.required("SECRET_KEY", minimum_length=50)
FIELD_ENCRYPTION_KEYS = environment.versioned_keys("FIELD_ENCRYPTION_KEYS")
ANCHOR_KEY = environment.key("ANCHOR_KEY")
DESK_ID = environment.required("DESK_ID", minimum_length=32)

DESK_HOST = environment.text("DESK_HOST", "127.0.0.1")
DESK_PORT = environment.whole("DESK_PORT", default=8000, minimum=1, maximum=65535)
DESK_HTTPS = environment.flag("DESK_HTTPS", default=False)
DATA_FOLDER = environment.folder("DATA_FOLDER", default="var")
DEBUG = environment.flag("DEBUG", default=False)
ALLOWED_HOSTS = environment.names("ALLOWED_HOSTS", default="localhost,127.0.0.1,[::1]")

# Trading ------------------------------------------------------------------------------------------

LIVE_TRADING_ENABLED = environment.flag("LIVE_TRADING_ENABLED", default=False)
LIVE_TRADING_ON_SQLITE = environment.flag("LIVE_TRADING_ON_SQLITE", default=False)

DESK_CLOCK = environment.choice("DESK_CLOCK", default="replay", allowed=("replay", "real"))
REPLAY_START = environment.moment("REPLAY_START")
REPLAY_SPEED = environment.number("REPLAY_SPEED", default="1", minimum=0, maximum=600)
REPLAY_SEED = environment.whole("REPLAY_SEED", default=42, minimum=0, maximum=2**63 - 1)
REPLAY_BARS = environment.choice("REPLAY_BARS", default="synthetic", allowed=("synthetic", "imported"))

TICK_SECONDS = environment.whole("TICK_SECONDS", default=10, minimum=1, maximum=60)
SWEEP_SECONDS = environment.whole("SWEEP_SECONDS", default=60, minimum=1, maximum=120)

# Applications -------------------------------------------------------------------------------------

AUTH_USER_MODEL = "portfolio.User"
INSTALLED_APPS = [
    "tradingsite",
    "monitoring",
    "analytics",
    "portfolio",
    "brokers",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "axes",
    "django_celery_beat",
    "django_htmx",
    "import_export",
    "rest_framework",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "tradingsite.security.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",  # last: it turns a lock into the answer 429
]
ROOT_URLCONF = "tradingsite.urls"
ASGI_APPLICATION = "tradingsite.asgi.application"
WSGI_APPLICATION = "tradingsite.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portfolio.pages.frame.context",
            ],
            "builtins": ["tradingsite.templatetags"],
        },
    },
]

# Database and cache -------------------------------------------------------------------------------

DATABASES = {"default": databases.from_environment(data_folder=DATA_FOLDER)}
REDIS_URL = environment.address("REDIS_URL", schemes=("redis", "rediss"))
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "paperdesk",
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# Queue: a doorbell. Losing, doubling or delaying a message changes nothing but the delay. ---------

QUEUE_FOLDER = DATA_FOLDER / "queue"
QUEUE_CONTROL_FOLDER = DATA_FOLDER / "queue-control"
CELERY_BROKER_URL = REDIS_URL or ("memory://" if UNDER_TEST else "filesystem://localhost")
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {
        "visibility_timeout": 300,
        "unacked_restore_interval": 2,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
    }
    if REDIS_URL
    else {
        "data_folder_in": str(QUEUE_FOLDER),
        "data_folder_out": str(QUEUE_FOLDER),
        "control_folder": str(QUEUE_CONTROL_FOLDER),
        "polling_interval": 0.1,
    }
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # the queue may come back after an hour; the worker waits
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_max": 0.2}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_BEAT_SCHEDULER = "tradingsite.beat:ReplayScheduler"
CELERY_TIMEZONE = "UTC"

# Signing in ---------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
if UNDER_TEST:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a slow hash guards nobody there
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/accounts/login/"
# Five wrong passwords for one name from one address lock that pair for 15 minutes, the admin included.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_HTTP_RESPONSE_CODE = 429
AXES_LOCKOUT_CALLABLE = "tradingsite.answers.locked_out"
# The forms' field, not the model's: left to its default, the check looks under "email" and finds no failure.
AXES_USERNAME_FORM_FIELD = "username"
AXES_USERNAME_CALLABLE = "tradingsite.answers.sign_in_name"

# Browsers -----------------------------------------------------------------------------------------

SECURE_SSL_REDIRECT = DESK_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # asked by machines from inside, over plain HTTP
SECURE_HSTS_SECONDS = 31_536_000 if DESK_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = DESK_HTTPS
SECURE_HSTS_PRELOAD = DESK_HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = DESK_HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'self'"
)
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

# Static files: served by the web process straight from the applications' folders ------------------

STATIC_URL = "/static/"
STATIC_ROOT = DATA_FOLDER / "static"
WHITENOISE_USE_FINDERS = True

# API, import and export ---------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "COERCE_DECIMAL_TO_STRING": True,
}
IMPORT_EXPORT_USE_TRANSACTIONS = True

# Language and time --------------------------------------------------------------------------------

LANGUAGE_CODE = "en-us"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

# Log: one line an event on the console, secrets masked --------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "tradingsite.log_lines.RedactingFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING" if UNDER_TEST else "INFO"},
    "loggers": {
        "django": {"handlers": [], "level": "WARNING", "propagate": True},
        "django.request": {"level": "ERROR"},  # a refused form is an answer, not an event
        "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
        "axes": {"level": "WARNING"},
        "celery": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        "uvicorn": {"handlers": [], "level": "WARNING", "propagate": True},
    },
}
