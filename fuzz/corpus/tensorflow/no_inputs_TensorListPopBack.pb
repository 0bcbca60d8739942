
2
xPlaceholder*
dtype0*
shape
:

n16TensorListPopBack"Ú