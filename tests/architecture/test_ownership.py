"""Every model is owned, or on a short list with a reason; every owned row takes its user from its parent."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.db.models import ForeignKey

from brokers import append_only
from portfolio.ownership import OwnedQuerySet, UserOwned

OURS = ("brokers", "portfolio", "monitoring", "analytics", "tradingsite")
SHARED = {
    "portfolio.User": "is the owner",
    "portfolio.Lease": "belongs to no one",
    "portfolio.JournalHead": "one a chain, the desk's included; read by the journal alone",
    "portfolio.Anchor": "one a chain, the desk's included; read by the checks alone",
    "portfolio.JournalEntry": "owned, and null only for the desk's own chain",
    "monitoring.TickRun": "what the desk did, for all",
    "monitoring.Heartbeat": "processes have no owner",
}
MODELS = [model for app in OURS for model in apps.get_app_config(app).get_models()]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_model_is_owned_or_on_the_short_list(model):
    if model._meta.app_label == "brokers":
        assert not issubclass(model, UserOwned)  # brokers knows no user
        assert all(
            not (isinstance(f, ForeignKey) and f.related_model._meta.label == "portfolio.User")
            for f in model._meta.fields
        )
        return
    assert issubclass(model, UserOwned) or model._meta.label in SHARED


@pytest.mark.parametrize("model", [m for m in MODELS if issubclass(m, UserOwned)], ids=lambda m: m._meta.label)
def test_owned_rows_have_a_user_that_is_kept(model):
    field = model._meta.get_field("user")
    assert not field.null
    assert field.remote_field.on_delete.__name__ == "PROTECT"
    assert isinstance(model.objects.all(), OwnedQuerySet)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_nothing_owned_is_deleted_by_cascade(model):
    cascades = {f.name for f in model._meta.fields if f.remote_field and f.remote_field.on_delete.__name__ == "CASCADE"}
    assert model._meta.label == "brokers.ImportRowError" or cascades == set()


@pytest.mark.django_db
def test_append_only_tables_are_read_only_in_the_admin(rf, staff):
    staff.is_superuser = True
    request = rf.get("/")
    request.user = staff
    tables = {model._meta.db_table: model for model in MODELS}
    shown = [tables[name] for name in append_only.APPEND_ONLY_TABLES if tables[name] in admin.site._registry]
    assert shown
    for model in shown:
        page = admin.site._registry[model]
        assert not page.has_add_permission(request), model
        assert not page.has_change_permission(request), model
        assert not page.has_delete_permission(request), model
