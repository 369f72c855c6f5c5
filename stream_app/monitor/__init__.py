"""The monitor: how far consumer groups are behind, how old results are, and who is to blame. Looks and tells; knows no Faust, joins no group."""
