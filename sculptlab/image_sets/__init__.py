"""Where image sets come from and how they get here: sources, mirrors, checksums, readers."""
