"""Records beside a repository: who asked for what, what became of it, and where it can be undone.

Small JSON files, written once and never changed (only the heartbeat of a running restore is written over), through a
``Backend``. They hold no secret, and of people no more than an account name.
"""
