"""What speaks to a cloud: object stores, and the secrets of a deployment. Opens nothing, knows no door."""
