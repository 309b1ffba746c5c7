"""Pictures of the alignment study."""
