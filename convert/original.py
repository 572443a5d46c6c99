"""Descriptions out of the JSON files of the original program, all read by one function.

What a file leaves out has the original program's default where it has one; a value that no released checkpoint has, a
wrong type, a number out of its range and a switch that nobody here knows are each refused by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from vp_jax.errors import UserError
from vp_jax.reading import show
from vp_jax.schema import from_values, listed

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Original:
    """How the original program describes a model.

    Attributes:
      what: the model, for messages.
      fields: their name -> our field.
      defaults: their name -> value where the file leaves it out; the others must be there.
      fixed: their name -> the only value that is implemented, which is also the one of files that leave it out.
      inert: fields that change nothing here.
      open: unknown fields are passed over, for files with dozens of settings of training and generation.
    """

    what: str
    fields: Mapping[str, str]
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    inert: frozenset[str] = frozenset()
    open: bool = False

    def read(self, cls: type[T], values: Mapping[str, Any], **ours: Any) -> T:
        """The description ``cls`` of a file's values; ``ours`` are fields that are known already.

        Raises:
          UserError: see the module; all unknown or fixed fields in one message.
        """
        faults = [
            f"{key} = {_show(values[key])}: expected {wanted!r}, as in every CogVideoX"
            for key, wanted in self.fixed.items()
            if key in values and not _same(values[key], wanted)
        ]
        if faults:
            raise UserError(f"{self.what} config: {listed(faults)}")
        known = {*self.fields, *self.fixed, *self.inert}
        # switches of other programs are harmless while they are off
        strange = {k: v for k, v in values.items() if not k.startswith("_") and k not in known and v}
        if strange and not self.open:
            shown = ", ".join(f"{show(k)} {_show(v)}" for k, v in list(strange.items())[:10])
            raise UserError(f"{self.what} config has {shown}: this model has no such feature, expected null or false")
        missing = [key for key in self.fields if key not in values and key not in self.defaults]
        if missing:
            raise UserError(
                f"{self.what} config without {missing}: expected the config.json of the original {self.what}"
            )
        read = {field: values.get(key, self.defaults.get(key)) for key, field in self.fields.items()}
        names = {field: key for key, field in self.fields.items()}
        return from_values(cls, {**read, **ours}, f"{self.what} config", names)

    def write(self, described: Any) -> dict[str, Any]:
        """The file's values of a description, fixed ones included; inverse of `read`."""
        fields = dataclasses.asdict(described)
        return {**self.fixed, **{key: fields[field] for key, field in self.fields.items()}}


def _same(value: Any, wanted: Any) -> bool:
    """Equal, and of the same kind: 1 is not true."""
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _show(value: Any) -> str:
    return show(repr(value))[:60]
