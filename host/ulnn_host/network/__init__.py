"""Float networks: cells, wirings, what errors do in them, sizes, export."""
