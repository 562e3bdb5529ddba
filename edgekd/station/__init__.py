"""The program beside the line: it waits for a trigger, inspects the part, answers in time and keeps the record.

Two processes. *Control* holds the states, speaks to the PLC and writes the record; it imports neither cv2 nor an
engine. The *inspector* owns cameras and engines; whatever happens to it, control answers ERROR in time.
"""
