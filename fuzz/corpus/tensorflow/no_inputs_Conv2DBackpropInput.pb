
2
xPlaceholder*
dtype0*
shape
:

n18Conv2DBackpropInput"Ú