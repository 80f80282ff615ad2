"""Power cuts and failing calls, under the real vault. ``make power-cuts``, ``make fault-sweep``."""
