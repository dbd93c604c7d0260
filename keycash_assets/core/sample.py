"""The source files that the project generates itself: invented, and always the same bytes.

They have the shape of the real ones, so that the platform runs and is tested without them: 50
files of 5 records, in one month with requests on every day. They hold what such files can hold:
clients who ask two or three times (also in the same minute, in one file or in two, and with the
later request in the earlier file), accents written as they are and as escapes, amounts with cents.
"""

import hashlib
import json
from datetime import datetime, timedelta

_FILES = 50
_RECORDS_PER_FILE = 5
_FIRST_DAY = datetime(2022, 3, 1)  # noqa: DTZ001  the files hold local time without a zone
_DAYS = 31

_GIVEN_NAMES = (
    "ALBIÃ",
    "BELUÇA",
    "CIRÂNIO",
    "DALVENO",
    "ELUÍZIA",
    "FABRÔNIO",
    "GALDENA",
    "HERÓLIA",
    "IRANÇO",
    "JURÉLIO",
    "LUZÂNIO",
    "MARTÚCIA",
    "NEVÉRIO",
    "ONDALVA",
    "PERÚZIO",
    "QUITÉRSIA",
)
_FAMILY_NAMES = (
    "ABIU",
    "AÇAÍ",
    "ARAÇÁ",
    "BURITI",
    "CAJÁ",
    "CUPUAÇU",
    "GUARANÁ",
    "IPÊ",
    "JATOBÁ",
    "LIMÃO",
    "MAÇÃ",
    "PEQUI",
    "PINHÃO",
    "SABIÁ",
    "TUIUIÚ",
)
"""No factor in common with the given names, so that counting through both gives 240 pairs."""

_REPEATED_REQUESTS = (
    (35, 0),
    (0, 0),
    (1, 95),
    (1, 4 * 24 * 60),
    (2, 10 * 24 * 60),
    (2, 3 * 24 * 60),
    (3, 30),
    (3, 30),
    (4, 45),
    (7, -30 * 60),
    (8, 24 * 60),
    (12, -7 * 24 * 60),
    (15, 12 * 24 * 60),
    (20, -1),
    (24, 6 * 24 * 60),
)
"""Client who asks again, and how many minutes after the first request (before, if negative)."""

_AMOUNTS_WITH_CENTS = {60: 1234.5, 120: 99999.99}
"""Amount in BRL by number of the request."""


def sample_files() -> dict[str, bytes]:
    """Generate the sample: the content of each file by its name, in the order of the names."""
    request_count = _FILES * _RECORDS_PER_FILE
    client_count = request_count - len(_REPEATED_REQUESTS)
    asked = [(client, 0) for client in range(client_count)] + list(_REPEATED_REQUESTS)
    files = {}
    for file in range(_FILES):
        # Dealt like cards, so that the requests of one client lie in files far apart.
        dealt = range(file, request_count, _FILES)
        records = [_record(request, *asked[request]) for request in dealt]
        # Half the files escape what is not ASCII, as the real ones do.
        text = json.dumps({"clientes": records}, ensure_ascii=file % 2 == 0)
        files[f"credit_requests_{file:02d}.json"] = text.encode()
    return files


def _record(request: int, client: int, minutes_later: int) -> dict[str, str | int | float]:
    first_minute = client % _DAYS * 24 * 60 + _number(f"minute of client {client}", 24 * 60)
    requested_at = _FIRST_DAY + timedelta(minutes=first_minute + minutes_later)
    given_name = _GIVEN_NAMES[client % len(_GIVEN_NAMES)]
    family_name = _FAMILY_NAMES[client % len(_FAMILY_NAMES)]
    amount = 10_000 + _number(f"amount of request {request}", 490_000)
    return {
        "id": _digest(f"client {client}").hex()[:32],
        "name": f"{given_name} {family_name}",
        "idade": 18 + _number(f"age of client {client}", 60),
        "credito_solicitado": _AMOUNTS_WITH_CENTS.get(request, amount),
        "data_solicitacao": requested_at.strftime("%m/%d/%Y %H:%M"),
    }


def _number(label: str, limit: int) -> int:
    """A number from 0 to below ``limit``, always the same for one label."""
    return int.from_bytes(_digest(label)[:8], "big") % limit


def _digest(label: str) -> bytes:
    # A hash and not the random module, whose methods may change from one Python to the next.
    return hashlib.sha256(f"keycash sample: {label}".encode()).digest()
