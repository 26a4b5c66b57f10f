"""Reports: the objects of the lower layers as Markdown, as one HTML page, and as figures.

Empty on purpose: importing a layer must not import matplotlib.
"""
