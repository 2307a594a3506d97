"""The explorer: pages in the browser that show what finished runs make of images, latents and noise."""
