"""The model of docs/liveness.md, checked: simulated workers and a clock, the real queries, random steps."""
