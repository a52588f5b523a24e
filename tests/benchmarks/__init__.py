"""What is fast must stay fast: each module runs ours, the obvious way and optional peers side by side."""
