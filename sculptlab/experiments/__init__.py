"""Studies over many models and seeds: what the pages measure, and what data/results/ records."""
