"""How a hindsight optimum is found and certified."""
