
2
xPlaceholder*
dtype0*
shape
:

n14_FusedConv2D"Ú