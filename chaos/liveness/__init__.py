"""The model of docs/explain/liveness.md, checked: simulated workers and a clock, the real queries, random steps."""
