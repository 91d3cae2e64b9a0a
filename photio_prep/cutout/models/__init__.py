"""Segmenters: catalogue, weights, devices, and rembg's sessions.

catalog: names, licences, hashes and sources of models.
download: sources of weights.
weights: install, pin and verify weights.
registry: models by name.
rembg_sessions: rembg's session classes without the rest of rembg.
rembg_models: any session of rembg, by `rembg:NAME`.
devices: sessions on a device.
openvino: networks compiled by OpenVINO.
segmenter: run a segmenter and validate its alpha.
two_pass: two-pass inference for small networks.
prompts: points and a box.
sam: segment what the user marks.
"""
