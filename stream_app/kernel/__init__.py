"""Hot paths in C, the native library: the same outcome as the Python beside them, for what nearly all records are; the rest is left to that.

`library` finds and loads what `build` compiled; `source_records` reads sessions, payments and memberships. Without a library all works, in Python (decision 0019).
"""
