"""The helper for Linux and macOS: reads and writes files on the host for the worker.

It is sent as text over standard input and never written to disk: ``launcher.py`` joins the parts and starts them.
Nothing but the standard library, in the syntax of Python 3.6, and one name space: a part names what stands before it.
``PROTOCOL.md`` is its contract; standard output belongs to frames. It leaves nothing behind: when its input ends or it
is told to end, its temporary files are removed.
"""
