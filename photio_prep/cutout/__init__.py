"""Cut the product out of a photo and place it on the canvas.

options: how edges and parts of the cutout are made.
matte: mask, alpha or segmenter -> cutout.
looks: more looks at a photo, and which is kept.
mask: mask options on alpha: specks, holes, growth, feather.
refine: a network's probability -> alpha along the picture's edges.
edges: mix of the sharpened alpha, the belief and a wide filter, for outlines and strands.
guided: filters that follow a picture's colours.
mend: fill print that became a hole, remove a line across the photo.
defocus: alpha of a product that is out of focus.
foreground: colours of the soft rim without the background.
pad: cutout -> canvas.
framing: frame of a photo around its product.
reframe: reframe a photo on its product.
advice: what each canvas size does to a photo and its product.
measure: figures of a cutout.
likeness: how alike places are to a network.
gate_model: the probability that a cutout is wrong.
gate: reasons to warn about a cutout, or to stop, before payment.
locate: the place in the photo that a reason is about.
models: the segmenters.
"""
