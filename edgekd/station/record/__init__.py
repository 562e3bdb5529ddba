"""The station's record: every trigger, answer, alarm and change, durable before it is acted upon.

It is the database of the verdict log (`edgekd.verdicts.log_migrations`), and `edgekd log` reads it. One writer, which
is called in a thread of its own; neither numpy nor OpenCV is loaded for it.
"""
