
2
xPlaceholder*
dtype0*
shape
:

n19QuantizedConv2D"Ú