
2
xPlaceholder*
dtype0*
shape
:

n7Switch"Ú