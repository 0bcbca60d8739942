
2
xPlaceholder*
dtype0*
shape
:

n17SpaceToBatch"Ú