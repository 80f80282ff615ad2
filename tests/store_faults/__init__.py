"""A store and a network that fail, clocks that are wrong, processes that die: nothing acknowledged is lost.

``make store-faults``.
"""
