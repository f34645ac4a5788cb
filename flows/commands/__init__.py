"""The verbs of the command line, one module a verb family.

Each module has ``add(verbs)``, which declares its verbs, and functions that run one and return its exit code. They
import what they need when they run: a verb that needs no Prefect starts without it.
"""
