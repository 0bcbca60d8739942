
2
xPlaceholder*
dtype0*
shape
:

n6Merge"Ú