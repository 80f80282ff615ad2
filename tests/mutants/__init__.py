"""Defences taken out one by one, to show that a test notices each."""
