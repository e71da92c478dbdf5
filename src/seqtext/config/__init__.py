"""The configuration: groups, validation, instantiation, stored settings."""
