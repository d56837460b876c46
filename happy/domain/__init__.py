"""The core: values, rules, events and ports. Imports nothing from the rest of happy."""
