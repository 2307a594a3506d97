"""Plots of a run: grids of images, charts of latents and training curves, each a matplotlib figure.

`run_plots` lists the plots that a run has. `sample_plots`, `ranked_plots`, `path_plots`, `latent_plots` and
`history_plots` compute what each of them shows. `image_grids`, `latent_charts` and `training_curves` draw: arrays in,
a figure out.
"""
