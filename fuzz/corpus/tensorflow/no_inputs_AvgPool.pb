
2
xPlaceholder*
dtype0*
shape
:

n9AvgPool"Ú