"""Letters to people, handed to the school's mail server.

A letter goes to one person, as plain text and as HTML. Nothing here knows what it is about, nor whether it was sent
before: ``verbs/tell.py`` does.
"""
