"""A fleet of devices: collecting their events, and an overview of them."""
