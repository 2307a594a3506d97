"""The explorer: a page in the browser that shows a finished run."""
