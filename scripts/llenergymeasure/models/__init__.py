"""Models as pinned artifacts: every source ends in one folder with safetensors, tokenizer and a hash record."""
