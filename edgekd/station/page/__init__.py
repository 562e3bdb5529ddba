"""The page of a station: a process of its own that control tells what happens, and that asks control for everything."""
