"""What can go wrong with one key: it is unknown, in the wrong state, or can't be stored as given."""

from __future__ import annotations

from swim_server.sql.errors import StoreError


class KeyNotFound(StoreError):
    """No key has this id."""

    def __init__(self, key_id: int) -> None:
        self.key_id = key_id
        super().__init__(key_id)

    def __str__(self) -> str:
        return f"no key has the id {self.key_id}: `swimctl keys list` shows those that exist"


class KeyUnusable(StoreError):
    """The key is in a state that does not allow the operation."""

    def __init__(self, key_id: int, state: str, wish: str) -> None:
        self.key_id = key_id
        self.state = state
        self.wish = wish
        super().__init__(key_id, state, wish)

    def __str__(self) -> str:
        return f"key {self.key_id} is {self.state} and can't be {self.wish}: make a new one with `swimctl keys create`"


class InvalidKeyField(StoreError):
    """A value that a key's row can't hold."""

    def __init__(self, field: str, value: object, rule: str) -> None:
        self.field = field
        self.value = value
        self.rule = rule
        super().__init__(field, value, rule)

    def __str__(self) -> str:
        return f"{self.field}: {self.rule}, got {str(self.value)[:60]!r}"
