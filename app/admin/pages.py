from app import access
from app.admin import bp


@bp.get("/")
@access.admin
def start():
    return "start"


@bp.get("/login")
@access.anyone
def login():
    return "login"
