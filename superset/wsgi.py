"""Superset as one process: it brings its own state up to date from this folder, and serves.

Migrations, roles, users and dashboards in one process take seconds; as commands of their own,
over a minute. A stamp leaves out what has not changed since the last start.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import flask_migrate
import yaml
from flask import Flask, g, request
from sqlalchemy import inspect
from superset.app import create_app
from superset.extensions import db
from werkzeug.exceptions import NotFound

FOLDER = Path(__file__).parent
HOME = Path(os.environ["KEYCASH_HOME"]) / "superset"
STAMP = HOME / "stamp"

# What reading dashboards needs beyond what Superset grants to anonymous visitors.
READING = {
    ("menu_access", "Dashboards"),
    ("can_log", "Superset"),
    ("can_read", "SecurityRestApi"),
    # Not ("can_read", "Log"): what everybody does stands there, filtered clients included.
    ("can_recent_activity", "Log"),
    ("can_read", "Dataset"),
    ("can_drill", "Dashboard"),
    ("can_view_chart_as_table", "Dashboard"),
}


def warehouse_uri() -> str:
    """Address of what Superset reads: the published snapshot, or MotherDuck."""
    warehouse = os.environ["KEYCASH_WAREHOUSE"]
    if warehouse.startswith("md:"):
        return f"duckdb:///{warehouse}"  # the token comes from the environment
    # Read-only, and no other file of this machine either.
    published = os.environ["KEYCASH_PUBLISHED"]
    return f"duckdb:///{published}?access_mode=READ_ONLY&enable_external_access=false"


def assets() -> dict[str, str]:
    """The exported files by their path, with the address of this warehouse in them."""
    folder = FOLDER / "assets"
    contents = {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in sorted(folder.rglob("*.yaml"))
    }
    database = yaml.safe_load(contents["databases/keycash.yaml"])
    database["sqlalchemy_uri"] = warehouse_uri()
    contents["databases/keycash.yaml"] = yaml.safe_dump(database)
    return contents


def digest(app: Flask) -> str:
    """What the state depends on, in one word: another metadata database begins anew."""
    metadata: str = app.config["SQLALCHEMY_DATABASE_URI"]
    parts = [metadata, warehouse_uri(), (HOME / "secrets.json").read_text()]
    parts += [
        path.read_text("utf-8")
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in {".yaml", ".py", ".txt"}
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def bring_up_to_date(app: Flask) -> None:
    """Migrate, and make roles, users and dashboards what this folder says."""
    with app.app_context():
        # A new and empty database at the address of the old one.
        is_there = inspect(db.engine).has_table("ab_user")
        if is_there and STAMP.exists() and STAMP.read_text() == digest(app):
            return
        flask_migrate.upgrade()
        app.sync_config_to_db()  # type: ignore[attr-defined]  # Superset's own Flask
        app.appbuilder.add_permissions(update_perms=True)  # type: ignore[attr-defined]
        security = app.appbuilder.sm  # type: ignore[attr-defined]
        security.sync_role_definitions()
        passwords = json.loads((HOME / "secrets.json").read_text())["passwords"]
        g.user = make_user(security, "admin", "Admin", passwords["admin"])
        import_assets()
        roles = yaml.safe_load((FOLDER / "roles.yaml").read_text())
        for name, role in roles.items():
            make_role(security, name, set(role["datasets"]))
            make_user(security, name, name, passwords[name])
        for name in passwords.keys() - roles.keys() - {"admin"}:
            shut_out(security, name)
    STAMP.write_text(digest(app))


def import_assets() -> None:
    """Import every file, and remove what an earlier start imported from a file that is gone."""
    from superset.commands.importers.v1.assets import ImportAssetsCommand
    from superset.connectors.sqla.models import SqlaTable
    from superset.models.dashboard import Dashboard
    from superset.models.slice import Slice

    contents = assets()
    ImportAssetsCommand(contents).run()
    documents = [yaml.safe_load(text) for text in contents.values()]
    kept = {document["uuid"] for document in documents if "uuid" in document}
    for model in (Dashboard, Slice, SqlaTable):
        for managed in db.session.query(model).filter_by(is_managed_externally=True):
            if str(managed.uuid) not in kept:
                db.session.delete(managed)
    db.session.commit()


def make_role(security: Any, name: str, datasets: set[str]) -> None:
    """A role that reads dashboards on these datasets, and changes nothing."""
    from superset.connectors.sqla.models import SqlaTable

    role = security.add_role(name)
    wanted = [security.find_permission_view_menu(*pair) for pair in READING]
    wanted += [security.find_permission_view_menu(*p) for p in security.PUBLIC_ROLE_PERMISSIONS]
    tables = {table.table_name: table for table in db.session.query(SqlaTable)}
    wanted += [
        security.add_permission_view_menu("datasource_access", tables[dataset].perm)
        for dataset in sorted(datasets)
    ]
    role.permissions = [permission for permission in wanted if permission is not None]
    db.session.commit()


def make_user(security: Any, name: str, role: str, password: str) -> Any:
    """A user of this role with the generated password."""
    user = security.find_user(username=name)
    if user is None:
        user = security.add_user(
            name, name.capitalize(), "Key Cash", f"{name}@localhost", security.find_role(role)
        )
    user.roles = [security.find_role(role)]
    user.active = True
    security.reset_password(user.id, password)
    return user


def shut_out(security: Any, name: str) -> None:
    """Take the sign-in from the user of a role that this folder has no longer."""
    user = security.find_user(username=name)
    if user is not None:
        user.roles = []
        user.active = False
        security.update_user(user)


def not_found(error: NotFound) -> Any:
    """What somebody sees who opens a dashboard that their role may not see, or that is not there.

    Superset's own page says only that the address is wrong, and asks a third party for fonts.
    """
    if "text/html" in request.accept_mimetypes:
        return (FOLDER / "not_found.html").read_text("utf-8"), 404
    return {"message": "Not found"}, 404


application = create_app()
application.register_error_handler(404, not_found)
bring_up_to_date(application)
