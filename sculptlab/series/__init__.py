"""The pages as files: found, run strictly, judged by their claims."""
