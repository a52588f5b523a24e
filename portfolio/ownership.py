"""Rows that belong to a user, and the only way to read them for a person."""

from typing import Any

from django.conf import settings
from django.db import models


class OwnedQuerySet(models.QuerySet):
    def for_user(self, user: Any) -> "OwnedQuerySet":
        """Only the rows of `user`; another user's row does not exist for the reader."""
        return self.filter(user_id=user.pk)


class UserOwned(models.Model):
    """An owned row: `user` is copied from its parent when it is written and never changes."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        abstract = True
