"""Files for marketplaces, made from an order and checked against each marketplace's rules.

presets           the marketplaces and their rules, each with its source (`presets.toml`)
packshot          the product alone, with the photo's own pixels where the photo still exists
layout            a packshot or a final, scaled and cropped or padded to a preset's size
writer            writes one file per preset and checks it as saved
check             the violations of a preset's rules in a file
white_background  how white a background is, and the share of the frame that the product fills
"""
