"""The instructions of the core as Python sees them: records with named fields, and instructions over value numbers."""
