"""Geometry of the figures: where things lie, as fractions or in pixels. The templates draw them.

No charting library: a figure is a few lines of SVG that take their colours from the page, in light, in dark and on
paper, and need no script.
"""
