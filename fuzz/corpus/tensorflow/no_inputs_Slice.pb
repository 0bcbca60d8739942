
2
xPlaceholder*
dtype0*
shape
:

n11Slice"Ú