"""The plain composition of each verb: which steps, in which order, on which parts.

Nothing here knows Prefect: the thin tasks (``tasks/snapshot.py`` and its siblings) and the command line call the same
functions.
"""
