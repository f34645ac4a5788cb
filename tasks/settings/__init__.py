"""Profile settings: what the catalog names is captured into a document of the snapshot, and put back value by value.

Collectors know one kind of place each (dconf, registry, ...); the rest knows entries only. Nothing here knows a wire: a
``SettingsHost`` carries out operations, and ``tasks.remote`` satisfies it.
"""
