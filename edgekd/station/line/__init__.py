"""To the line: each module shows the station to one kind of counterpart, and takes its requests."""
