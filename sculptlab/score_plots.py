"""Pictures of page 02."""
