"""The language of maps: what columns of a file, or fields of a topic's records, make of the fields of the contract. One implementation for both. Pure."""
