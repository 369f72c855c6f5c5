"""What we add to Faust: transport by batch, tables that recover by themselves. Knows nothing of charging."""
