
2
xPlaceholder*
dtype0*
shape
:

cConst*
value
B"Ú