
2
xPlaceholder*
dtype0*
shape
:

n5MatMul"Ú