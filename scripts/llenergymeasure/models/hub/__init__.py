"""Models from the Hugging Face hub: files, pins and downloads."""
