"""Build hook: a wheel has `schema` inside `happy`, not as a top-level module of that common name."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WheelLayout(BuildHookInterface[Any]):
    """Installing a checkout in place (`editable`) changes nothing: there `schema` is found beside `happy`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"]["schema"] = "happy/_packages/schema"
