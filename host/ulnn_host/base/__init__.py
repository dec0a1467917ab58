"""What every other room may use: errors, console, paths, files."""
