"""What the page serves, a file a subject. Each module has a `router`; every route of it names who may use it."""
