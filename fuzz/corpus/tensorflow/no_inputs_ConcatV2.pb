
2
xPlaceholder*
dtype0*
shape
:

n1ConcatV2"Ú