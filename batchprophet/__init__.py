"""batchprophet: hindsight-optimal LLM-inference scheduling, and how far each policy is from it."""
