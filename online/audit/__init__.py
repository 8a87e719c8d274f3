"""An engine's log against hindsight: what was served, what could have been, and why."""
