"""Where a model looks: its exact attention, layer by layer, as a page and as a figure."""
