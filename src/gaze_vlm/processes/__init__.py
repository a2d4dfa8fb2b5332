"""Commands as processes: several at a time, started warm, and none that outlives what started it."""
