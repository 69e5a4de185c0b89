"""Lightning modules, one file for each thing that learns."""
