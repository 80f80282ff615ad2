"""kill -9, thousands of times: what was acknowledged is there, once, whole. ``make storm``."""
