"""Channels: the list and a new one; one of them to be tested, changed, switched off, deleted."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from sqlalchemy import Connection
from wtforms import PasswordField, RadioField, SelectChoice, StringField
from wtforms.validators import InputRequired, Length, Optional

from app.admin import bp
from app.alerts import channels
from app.alerts.channels import KINDS, MAX_NAME, MAX_SECRET, Channel
from app.alerts.errors import AlertError
from app.web import access
from app.web.current import current_dispatcher, current_store

UNKNOWN = "no channel has this id; it may have been deleted since"
WORDS = {"email": "E-mail", "webhook": "Webhook", "slack": "Slack"}


class ChannelForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A channel to be made."""

    kind = RadioField(
        "Kind",
        [InputRequired()],
        choices=[SelectChoice(kind, word) for kind, word in WORDS.items()],
        default="email",
    )
    name = StringField("Name", [InputRequired("A channel has a name."), Length(max=MAX_NAME)])
    address = StringField(
        "Address",
        [InputRequired("An address is expected."), Length(max=5000)],
        description="Mail addresses, separated by commas; or the URL of the webhook, which is "
        "never shown again.",
        render_kw={"autocomplete": "off", "spellcheck": "false"},
    )
    secret = PasswordField(
        "Signing secret of a webhook",
        [Optional(), Length(max=MAX_SECRET)],
        description="Empty: one is made and shown once.",
        render_kw={"autocomplete": "new-password"},
    )

    def blame(self, error: AlertError) -> None:
        """Show what is wrong at its field."""
        field = self.address if error.field in ("url", "to") else self[error.field]
        text = str(error)
        field.errors = [*field.errors, f"{text[:1].upper()}{text[1:]}."]


class ChangeForm(ChannelForm):
    """A channel to be changed. Its address is not filled in: it is not shown again."""

    kind = None
    address = StringField(
        "New address",
        [Optional(), Length(max=5000)],
        description="Empty to keep the one it has.",
        render_kw={"autocomplete": "off", "spellcheck": "false"},
    )
    secret = PasswordField(
        "New signing secret",
        [Optional(), Length(max=MAX_SECRET)],
        description="Empty to keep the one it has.",
        render_kw={"autocomplete": "new-password"},
    )


@bp.route("/alerts/channels", methods=["GET", "POST"])
@access.admin
def list_of_channels() -> ResponseReturnValue:
    """Show all channels and the form of a new one; add it on POST (303).

    A webhook's page is answered at once (201), since its secret is shown this one time.
    """
    form = ChannelForm()
    if form.validate_on_submit() and (made := _add(form)):
        if made.secret and not form.secret.data:
            return _page(made, secret=made.secret), 201
        flash("The channel is kept; notices go out by it from now on.", "note")
        return redirect(url_for("admin.show_channel", channel_id=made.id), 303)
    with current_store().read() as conn:
        found = channels.list_channels(conn)
    page = render_template(
        "alert_channels.html",
        channels=found,
        form=form,
        words=WORDS,
        can_mail=current_dispatcher().mailer is not None,
    )
    return page, 422 if form.errors else 200


@bp.route("/alerts/channels/<int:channel_id>", methods=["GET", "POST"])
@access.admin
def show_channel(channel_id: int) -> ResponseReturnValue:
    """Show one channel; change it on POST (303).

    :raise 404: no channel has this id.
    """
    with current_store().read() as conn:
        channel = _find(conn, channel_id)
    form = ChangeForm(data={"name": channel.name})
    if form.validate_on_submit() and _change(form, channel):
        flash("Saved.", "note")
        return redirect(url_for("admin.show_channel", channel_id=channel_id), 303)
    return _page(channel, form), 422 if form.errors else 200


@bp.post("/alerts/channels/<int:channel_id>/test")
@access.admin
def test_channel(channel_id: int) -> ResponseReturnValue:
    """Send a test notification and show what became of it (303)."""
    with current_store().read() as conn:
        channel = _find(conn, channel_id)
    notice_id, state = current_dispatcher().test(channel)
    if state == "delivered":
        flash(f"The test was sent by {channel.name}.", "note")
    else:
        flash(f"The test was not sent by {channel.name}; the attempt below says why.", "warning")
    return redirect(url_for("admin.show_alert", notice_id=notice_id), 303)


@bp.post("/alerts/channels/<int:channel_id>/enabled")
@access.admin
def enable_channel(channel_id: int) -> ResponseReturnValue:
    """Switch a channel on or off (303)."""
    enabled = request.form.get("enabled") == "yes"
    with current_store().write() as conn:
        channels.change_channel(conn, _find(conn, channel_id), {"enabled": enabled})
    return redirect(url_for("admin.list_of_channels"), 303)


@bp.post("/alerts/channels/<int:channel_id>/delete")
@access.admin
def delete_channel(channel_id: int) -> ResponseReturnValue:
    """Delete a channel with its address (303)."""
    with current_store().write() as conn:
        channels.remove_channel(conn, channel_id)
    flash("The channel is deleted; what it sent stays in the list.", "note")
    return redirect(url_for("admin.list_of_channels"), 303)


# ---- steps --------------------------------------------------------------------------------------


def _page(channel: Channel, form: Any = None, secret: str | None = None) -> str:
    return render_template(
        "alert_channel.html",
        channel=channel,
        form=form or ChangeForm(formdata=None, data={"name": channel.name}),
        secret=secret,
        words=WORDS,
    )


def _add(form: ChannelForm) -> Channel | None:
    address = {KINDS[form.kind.data]: form.address.data}
    try:
        wanted = channels.checked(
            current_dispatcher().targets,
            kind=form.kind.data,
            name=form.name.data,
            # A browser may fill it in for any kind.
            secret=form.secret.data if form.kind.data == "webhook" else None,
            **address,
        )
        with current_store().write() as conn:
            return channels.add_channel(conn, wanted, created_by=current_user.username)
    except AlertError as error:
        form.blame(error)
        return None


def _change(form: ChangeForm, channel: Channel) -> bool:
    given = {"name": form.name.data}
    if form.address.data:
        given[KINDS[channel.kind]] = form.address.data
    if form.secret.data and channel.kind == "webhook":
        given["secret"] = form.secret.data
    try:
        changes = channels.checked_changes(current_dispatcher().targets, channel, given)
    except AlertError as error:
        form.blame(error)
        return False
    with current_store().write() as conn:
        channels.change_channel(conn, _find(conn, channel.id), changes)
    return True


def _find(conn: Connection, channel_id: int) -> Channel:
    channel = channels.find_channel(conn, channel_id)
    if channel is None:
        abort(404, description=UNKNOWN)
    return channel
