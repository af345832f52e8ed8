"""Channels: list, add and preview them; test, change, switch off and delete one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import Connection
from wtforms import PasswordField, RadioField, SelectChoice, StringField, TextAreaField
from wtforms.validators import InputRequired

from app.admin import bp
from app.admin.alerts import AlertForm
from app.alerts.channels import stored
from app.alerts.channels.inputs import changed_values, checked_preview, new_values
from app.alerts.channels.kind import KINDS, ChannelKind
from app.alerts.channels.stored import Channel
from app.alerts.template import MAX_TEMPLATE
from app.web import access
from app.web.current import current_dispatcher, current_store

KEPT = "Empty to keep the one it has."
UNKNOWN = "no channel has this id; it may have been deleted since"


def _help_of(name: str) -> str:
    """Return the help that some kinds of channels have, as sentences."""
    found = ((kind.label, getattr(kind, name)) for kind in KINDS.values())
    return " ".join(f"{label}: {text}" for label, text in found if text)


def _address(label: str, help: str, *validators: Any) -> StringField:
    attributes = {"autocomplete": "off", "spellcheck": "false"}
    return StringField(label, validators, description=help, render_kw=attributes)


def _template(help: str) -> TextAreaField:
    attributes = {"rows": 12, "spellcheck": "false", "maxlength": MAX_TEMPLATE}
    return TextAreaField("Template", description=help, render_kw=attributes)


def _secret(label: str, help: str) -> PasswordField:
    return PasswordField(label, description=help, render_kw={"autocomplete": "new-password"})


class ChannelForm(AlertForm):
    """The form of a new channel."""

    kind = RadioField(
        "Kind",
        [InputRequired()],
        choices=[SelectChoice(kind.name, kind.label) for kind in KINDS.values()],
        default="email",
    )
    name = StringField("Name", [InputRequired("A channel has a name.")])
    address = _address(
        "Address",
        "Mail addresses, separated by commas; or the URL of the webhook, which is never shown "
        "again. "
        + _help_of("address_help")
        + "".join(
            f" {kind.label}: may be empty." for kind in KINDS.values() if kind.default_address
        ),
    )
    secret = _secret("Secret", _help_of("key_help"))
    template = _template("Empty: the ready-made one of the kind. You can change it later, too.")
    aliases = {"url": "address", "to": "address"}

    def given(self, kind: ChannelKind) -> dict[str, Any]:
        """Return the filled-in fields that a channel of this kind has."""
        fields = {"name": self.name.data, kind.address_field: self.address.data}
        # A browser may fill in the secret for any kind of channel.
        fields |= {"secret": self.secret.data} if kind.has_secret else {}
        fields |= {"template": self.template.data} if kind.has_template else {}
        return {name: value for name, value in fields.items() if value}

    def preview(self, kind: ChannelKind) -> str | None:
        """Return what a channel of this kind would send; ``None`` if an error is at the field."""
        with self.errors_at_fields():
            text = self.template.data if kind.has_template else None
            return checked_preview(kind, (text or "").strip() or None)
        return None


class ChangeForm(ChannelForm):
    """The form that changes a channel; it never shows the stored address."""

    kind = None
    address = _address("New address", KEPT)
    secret = _secret("New secret", KEPT)
    template = _template("Empty for the ready-made one.")

    def given(self, kind: ChannelKind) -> dict[str, Any]:
        """Return the filled-in fields; the template also if it is emptied."""
        fields = super().given(kind)
        if kind.has_template:
            text = (self.template.data or "").replace("\r\n", "\n").strip()
            fields["template"] = None if text in ("", kind.ready_made) else text
        return fields


@bp.route("/alerts/channels", methods=["GET", "POST"])
@access.configures
def list_of_channels() -> ResponseReturnValue:
    """Show all channels and the form of a new channel; add the channel on POST (303).

    If the service made the webhook's secret, the answer is the channel's page (201): the secret is
    shown only this time.
    """
    form = ChannelForm()
    if _is_preview() and form.kind.data in KINDS:
        return _preview(form, KINDS[form.kind.data], _list_page)
    if form.validate_on_submit() and (made := _add(form)):
        if made.secret and not form.secret.data:
            return _page(made, secret=made.secret), 201
        flash("The channel is kept; notifications go out by it from now on.", "note")
        return redirect(url_for("admin.show_channel", channel_id=made.id), 303)
    return _list_page(form), 422 if form.errors else 200


@bp.route("/alerts/channels/<int:channel_id>", methods=["GET", "POST"])
@access.configures
def show_channel(channel_id: int) -> ResponseReturnValue:
    """Show a channel; change it on POST (303).

    :raise 404: no channel has this id.
    """
    with current_store().read() as conn:
        channel = _find(conn, channel_id)
    form = _change_form(channel)
    if _is_preview():
        return _preview(form, channel.about, lambda form, **more: _page(channel, form, **more))
    if form.validate_on_submit() and _change(form, channel):
        flash("Saved.", "note")
        return redirect(url_for("admin.show_channel", channel_id=channel_id), 303)
    return _page(channel, form), 422 if form.errors else 200


@bp.post("/alerts/channels/<int:channel_id>/test")
@access.configures
def test_channel(channel_id: int) -> ResponseReturnValue:
    """Send a test notification and show its result (303)."""
    with current_store().read() as conn:
        channel = _find(conn, channel_id)
    notice_id, state = current_dispatcher().test(channel)
    if state == "delivered":
        flash(f"The test was sent by {channel.name}.", "note")
    else:
        flash(f"The test was not sent by {channel.name}; the attempt below says why.", "warning")
    return redirect(url_for("admin.show_alert", notice_id=notice_id), 303)


@bp.post("/alerts/channels/<int:channel_id>/enabled")
@access.configures
def enable_channel(channel_id: int) -> ResponseReturnValue:
    """Switch a channel on or off (303)."""
    enabled = request.form.get("enabled") == "yes"
    with current_store().write() as conn:
        stored.change_channel(conn, _find(conn, channel_id), {"enabled": enabled})
    return redirect(url_for("admin.list_of_channels"), 303)


@bp.post("/alerts/channels/<int:channel_id>/delete")
@access.configures
def delete_channel(channel_id: int) -> ResponseReturnValue:
    """Delete a channel with its address (303)."""
    with current_store().write() as conn:
        stored.remove_channel(conn, channel_id)
    flash("The channel is deleted; what it sent stays in the list.", "note")
    return redirect(url_for("admin.list_of_channels"), 303)


# ---- steps --------------------------------------------------------------------------------------


def _list_page(form: ChannelForm, preview: str | None = None) -> str:
    with current_store().read() as conn:
        found = stored.list_channels(conn)
    return render_template(
        "alert_channels.html",
        channels=found,
        form=form,
        kinds=KINDS.values(),
        kind=KINDS.get(form.kind.data),
        preview=preview,
        senders=current_dispatcher().senders,
    )


def _page(
    channel: Channel,
    form: ChangeForm | None = None,
    secret: str | None = None,
    preview: str | None = None,
) -> str:
    form = form or _change_form(channel, formdata=None)
    if preview is None and not form.errors:
        preview = form.preview(channel.about)
    return render_template(
        "alert_channel.html", channel=channel, form=form, secret=secret, preview=preview
    )


def _change_form(channel: Channel, **more: Any) -> ChangeForm:
    about = channel.about
    template = channel.template or about.ready_made
    form = ChangeForm(data={"name": channel.name, "template": template}, **more)
    form.address.description = f"{KEPT} {about.address_help}".strip()
    form.secret.label.text = f"New {about.key_label.lower()}"
    return form


def _is_preview() -> bool:
    return request.method == "POST" and "preview" in request.form


def _preview(form: Any, kind: ChannelKind, page: Callable[..., str]) -> ResponseReturnValue:
    """Answer with the page and its preview, or with the preview alone if a script asks."""
    body = form.preview(kind)
    if request.headers.get("X-Fragment"):
        return render_template(
            "_channel_preview.html", kind=kind, preview=body, errors=form.template.errors
        )
    return page(form, preview=body), 422 if form.template.errors else 200


def _add(form: ChannelForm) -> Channel | None:
    kind = KINDS[form.kind.data]
    with form.errors_at_fields():
        values = new_values(kind, form.given(kind), current_dispatcher().targets)
        with current_store().write() as conn:
            return stored.add_channel(conn, values, current_user.username)
    return None


def _change(form: ChangeForm, channel: Channel) -> bool:
    given = form.given(channel.about)
    with form.errors_at_fields():
        changes = changed_values(channel.about, given, current_dispatcher().targets)
        with current_store().write() as conn:
            stored.change_channel(conn, _find(conn, channel.id), changes)
    return not form.errors


def _find(conn: Connection, channel_id: int) -> Channel:
    return stored.find_channel(conn, channel_id) or abort(404, description=UNKNOWN)
