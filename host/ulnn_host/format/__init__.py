"""The model file (SPEC.md section 2): contents, reading and writing, facts, cost."""
