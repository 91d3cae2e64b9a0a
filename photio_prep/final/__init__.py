"""Make the final of an answered order: crop, composite, measure, write.

options: whose pixels the product has, and the size of the final.
crop: crop an answer to the photo's frame.
upsample_alpha: the cutout's alpha at the photo's resolution.
restore: the answer's scene without its product.
composite: composite the photo's product onto it.
glass: half transparent parts over the new scene.
scene_detail: detail of an enlarged scene.
drift: measure how far the generator changed the product.
interior: compare the product's inside: shift, light, colour, detail, pattern.
outline: fit how far its outline moved, arc by arc.
outline_profiles: likelihoods of displacements from colours along the outline.
soft_edges: displacement and coverage of edges that are too soft to have a place.
shadows: the shadow below a product, which is no growth.
sides: find a side that grew as a whole.
added_parts: find parts added beside the product.
regions: list where the answer's product differs.
repairs: what a final replaced of an answer, by region.
assemble: answered order -> final, with proof and drift.
provenance: XMP packet that states how a final was made.
publish: checked paths and bytes of pictures in the output folder.
superseded: archive the final of another order of a photo.
writer: write an order's final to the output folder.
choose: variants, their contact sheet, and the choice of one.
"""
