
2
xPlaceholder*
dtype0*
shape
:

yRelu
x:99999999"Ú