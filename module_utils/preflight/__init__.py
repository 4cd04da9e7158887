"""Refuses an inventory that cannot work, and hosts that cannot carry what it asks of them.

Each check is a pure function from what is known to the mistakes in it. ``checks`` lists them all.
"""
