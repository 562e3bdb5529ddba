"""What run.sh runs: one module a part, each a process of its own that writes its figures as they come."""
