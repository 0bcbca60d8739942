
2
xPlaceholder*
dtype0*
shape
:

n10	Transpose"Ú