"""The command line: reads flags and ini, wires the layers together, and says errors in one line.

Exit codes are 0, 1 for what the system refuses (an address in use, a folder without permission) and
2 for what the user wrote (flags, ini, values); 130 when Ctrl-C ended it.
"""
