"""What the numbers mean. Pure: no I/O, no clock, no logging; time comes as an argument or in the log."""
