"""Bytes to pixels and back, within limits. It knows no photo's order.

limits: limits of a picture, checked before it is decoded
headers: parse a file's header
decode: bytes -> an upright sRGB picture
decoders: the decoder of each format
resize: resize in two halves at once
isolated: decode in a process of its own
isolated_child: that process
jpeg_feed: detect JPEG data that end before, or after, the picture
tiff_decoder: a page of a TIFF -> a picture of 8 bits
tiff_samples: the samples of a TIFF in any layout
colour: ICC profiles, any mode -> sRGB
icc_profiles: ICC profiles made of numbers
encode: picture -> the bytes of a file
filters: OpenCV's filters, and work on the tiles that need it
"""
