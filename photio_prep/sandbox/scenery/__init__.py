"""Painter of the sandbox's scenes: surface, backdrop, light and shadow for a description, without a model.

scene: description and product -> picture of the scene, with light, shadows and mirror image
scene_parser: description -> Scene, a record of surface, backdrop, colours and light
surfaces: marble, wood, stone and paper in perspective; wall, tiles and studio sweep behind
arrays: noise and array helpers
"""
