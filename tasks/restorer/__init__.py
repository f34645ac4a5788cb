"""Bring files of a snapshot back to a host: plan, apply, prove, undo.

``plan.build_plan`` says what would be done, ``restorer.Restorer`` does it, ``verify`` compares by hash, ``undo`` puts
back what a restore replaced. Nothing newer is overwritten, nothing is deleted that a restore did not write itself.
"""
