
2
xPlaceholder*
dtype0*
shape
:

n2Concat"Ú