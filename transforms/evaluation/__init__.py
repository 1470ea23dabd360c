"""Evaluation prompts, generations and judgements."""
