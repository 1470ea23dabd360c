"""The rows that count for a recipe now; jobs, dry run, report and explain all ask here."""
