"""Superset's configuration, from the environment that `keycash up` gives it.

Read by Superset itself, in its own virtual environment. What production needs comes by
environment variables; docs/superset.md lists them.
"""

import json
import os
import sqlite3
from copy import deepcopy
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine
from superset.config import TALISMAN_CONFIG as SUPERSETS_OWN

HOME = Path(os.environ["KEYCASH_HOME"]) / "superset"

SECRET_KEY = json.loads((HOME / "secrets.json").read_text())["secret_key"]
SQLALCHEMY_DATABASE_URI = (
    os.environ.get("KEYCASH_SUPERSET_METADATA") or f"sqlite:///{HOME / 'superset.db'}"
)
DATA_DIR = str(HOME)

# It listens on 127.0.0.1 by plain HTTP; behind a proxy with TLS set these to True.
IS_BEHIND_TLS = os.environ.get("KEYCASH_SUPERSET_TLS") == "1"
SESSION_COOKIE_SECURE = IS_BEHIND_TLS
ENABLE_PROXY_FIX = IS_BEHIND_TLS
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True

# By default pages load a pixel of a telemetry service, and fonts: nothing but our own server is
# asked.
TALISMAN_CONFIG = deepcopy(SUPERSETS_OWN)
TALISMAN_CONFIG["content_security_policy"] |= {
    "img-src": ["'self'", "blob:", "data:"],
    "connect-src": ["'self'"],
    "style-src": ["'self'", "'unsafe-inline'"],
    "font-src": ["'self'", "data:"],
}
TALISMAN_CONFIG["session_cookie_secure"] = IS_BEHIND_TLS

# Numbers as Brazilians write them; "$" in a format is the currency.
D3_FORMAT = {"decimal": ",", "thousands": ".", "grouping": [3], "currency": ["R$ ", ""]}
APP_NAME = "Key Cash"
EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {
        "id": "keycash",
        "description": "Key Cash",
        "label": "Key Cash",
        "isDefault": True,
        "colors": [
            *("#1f5f8b", "#e0a030", "#2a7f62", "#c8452f", "#7a5aa6"),
            *("#5aa2c9", "#8fb8a8", "#b5893b", "#8a8a8a", "#d98b7c"),
        ],
    }
]
PUBLIC_ROLE_LIKE = None
SQLLAB_CTAS_NO_LIMIT = False
FEATURE_FLAGS = {"ALERT_REPORTS": False}

# Each refresh is to see the newest snapshot, so results are not cached, whatever the cache.
REDIS = os.environ.get("KEYCASH_SUPERSET_REDIS")
if REDIS:
    CACHE_CONFIG = {
        "CACHE_TYPE": "RedisCache",
        "CACHE_KEY_PREFIX": "keycash_superset_",
        "CACHE_REDIS_URL": REDIS,
    }
    FILTER_STATE_CACHE_CONFIG = {**CACHE_CONFIG, "CACHE_DEFAULT_TIMEOUT": 90 * 24 * 3600}
    EXPLORE_FORM_DATA_CACHE_CONFIG = {**CACHE_CONFIG, "CACHE_DEFAULT_TIMEOUT": 7 * 24 * 3600}
    RATELIMIT_STORAGE_URI = REDIS
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}


@event.listens_for(Engine, "connect")
def _write_ahead_log(connection: object, record: object) -> None:
    """Readers and the writer of the metadata do not wait for each other."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
