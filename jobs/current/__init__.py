"""Selection of the rows that count for a recipe now, shared by jobs, dry run, report and explain."""
