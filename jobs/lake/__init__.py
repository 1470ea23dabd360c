"""The lake's tables: reading, the one write path, publishing, the catalog and the audit."""
