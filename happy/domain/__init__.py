"""The core: values, rules, events and the ports it needs. Imports nothing from the rest of happy."""
