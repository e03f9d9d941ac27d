"""Subcommands that train nothing themselves: extract, experiment."""
