
2
xPlaceholder*
dtype0*
shape
:

n0Conv2D"Ú